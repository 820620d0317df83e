//! The services, actions and kinds of resource that the workloads are made of.
//!
//! Twenty-five services with ten actions each, so that the table of known actions has 250 entries.

/// A service.
pub struct Service {
    /// The prefix of its actions.
    pub prefix: &'static str,
    /// The names of its actions, without the prefix.
    pub actions: [&'static str; 10],
    /// Its resources; `%` stands for a team's name, `#` for a number.
    pub resource: &'static str,
}

/// The account that owns everything in workloads of one account.
pub const ACCOUNT: &str = "210987654321";

/// Names of teams, used in resources and tags.
pub const TEAMS: [&str; 12] = [
    "payments", "search", "data-eu", "ledger", "risk", "mobile", "billing", "media", "platform",
    "identity", "growth", "archive",
];

/// Regions of requests and of resources.
pub const REGIONS: [&str; 6] =
    ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1"];

const fn service(
    prefix: &'static str,
    resource: &'static str,
    actions: [&'static str; 10],
) -> Service {
    Service { prefix, actions, resource }
}

/// All services.
pub const SERVICES: [Service; 25] = [
    service("s3", "arn:aws:s3:::acme-%/reports/20#/part-#.parquet", [
        "GetObject", "PutObject", "DeleteObject", "ListBucket", "GetObjectTagging",
        "PutObjectTagging", "GetBucketPolicy", "PutBucketPolicy", "AbortMultipartUpload",
        "GetObjectVersion",
    ]),
    service("ec2", "arn:aws:ec2:eu-west-1:210987654321:instance/i-0%#", [
        "RunInstances", "StartInstances", "StopInstances", "TerminateInstances",
        "DescribeInstances", "CreateTags", "DeleteTags", "CreateVolume", "AttachVolume",
        "CreateSnapshot",
    ]),
    service("iam", "arn:aws:iam::210987654321:role/%/worker-#", [
        "GetRole", "CreateRole", "DeleteRole", "PassRole", "ListRoles", "AttachRolePolicy",
        "DetachRolePolicy", "GetPolicy", "CreatePolicy", "TagRole",
    ]),
    service("dynamodb", "arn:aws:dynamodb:eu-west-1:210987654321:table/%-orders-#", [
        "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem",
        "BatchWriteItem", "DescribeTable", "CreateTable",
    ]),
    service("kms", "arn:aws:kms:eu-west-1:210987654321:key/%-#", [
        "Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey", "CreateGrant", "RevokeGrant",
        "ReEncryptFrom", "ReEncryptTo", "ListKeys", "ScheduleKeyDeletion",
    ]),
    service("sqs", "arn:aws:sqs:eu-west-1:210987654321:%-jobs-#", [
        "SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueUrl", "GetQueueAttributes",
        "SetQueueAttributes", "CreateQueue", "DeleteQueue", "PurgeQueue", "ListQueues",
    ]),
    service("logs", "arn:aws:logs:eu-west-1:210987654321:log-group:/%/app-#", [
        "CreateLogGroup", "CreateLogStream", "PutLogEvents", "GetLogEvents", "FilterLogEvents",
        "DescribeLogGroups", "DescribeLogStreams", "DeleteLogGroup", "PutRetentionPolicy",
        "StartQuery",
    ]),
    service("sns", "arn:aws:sns:eu-west-1:210987654321:%-alerts-#", [
        "Publish", "Subscribe", "Unsubscribe", "CreateTopic", "DeleteTopic", "GetTopicAttributes",
        "SetTopicAttributes", "ListTopics", "ListSubscriptions", "TagResource",
    ]),
    service("lambda", "arn:aws:lambda:eu-west-1:210987654321:function:%-fn-#", [
        "InvokeFunction", "CreateFunction", "UpdateFunctionCode", "DeleteFunction", "GetFunction",
        "ListFunctions", "AddPermission", "RemovePermission", "PublishVersion", "CreateAlias",
    ]),
    service("sts", "arn:aws:iam::210987654321:role/%/deploy-#", [
        "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetCallerIdentity",
        "GetSessionToken", "GetFederationToken", "TagSession", "SetSourceIdentity",
        "DecodeAuthorizationMessage", "GetAccessKeyInfo",
    ]),
    service("rds", "arn:aws:rds:eu-west-1:210987654321:db:%-main-#", [
        "CreateDBInstance", "DeleteDBInstance", "ModifyDBInstance", "DescribeDBInstances",
        "CreateDBSnapshot", "DeleteDBSnapshot", "StartDBInstance", "StopDBInstance",
        "ListTagsForResource", "RebootDBInstance",
    ]),
    service("ecs", "arn:aws:ecs:eu-west-1:210987654321:service/%/api-#", [
        "RunTask", "StopTask", "DescribeTasks", "CreateService", "UpdateService", "DeleteService",
        "RegisterTaskDefinition", "DescribeServices", "ListTasks", "CreateCluster",
    ]),
    service("ecr", "arn:aws:ecr:eu-west-1:210987654321:repository/%/image-#", [
        "GetDownloadUrlForLayer", "BatchGetImage", "PutImage", "InitiateLayerUpload",
        "UploadLayerPart", "CompleteLayerUpload", "DescribeImages", "CreateRepository",
        "DeleteRepository", "GetAuthorizationToken",
    ]),
    service("secretsmanager", "arn:aws:secretsmanager:eu-west-1:210987654321:secret:%/db-#", [
        "GetSecretValue", "PutSecretValue", "CreateSecret", "DeleteSecret", "DescribeSecret",
        "ListSecrets", "RotateSecret", "UpdateSecret", "RestoreSecret", "GetRandomPassword",
    ]),
    service("ssm", "arn:aws:ssm:eu-west-1:210987654321:parameter/%/config-#", [
        "GetParameter", "GetParameters", "PutParameter", "DeleteParameter", "GetParametersByPath",
        "SendCommand", "StartSession", "TerminateSession", "DescribeParameters", "ListCommands",
    ]),
    service("cloudwatch", "arn:aws:cloudwatch:eu-west-1:210987654321:alarm:%-alarm-#", [
        "PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricAlarm",
        "DeleteAlarms", "DescribeAlarms", "SetAlarmState", "PutDashboard", "GetDashboard",
    ]),
    service("kinesis", "arn:aws:kinesis:eu-west-1:210987654321:stream/%-events-#", [
        "PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "DescribeStream",
        "CreateStream", "DeleteStream", "MergeShards", "SplitShard", "ListStreams",
    ]),
    service("glue", "arn:aws:glue:eu-west-1:210987654321:table/%/facts-#", [
        "GetTable", "GetTables", "CreateTable", "UpdateTable", "DeleteTable", "GetDatabase",
        "GetPartitions", "BatchCreatePartition", "StartJobRun", "GetJobRun",
    ]),
    service("athena", "arn:aws:athena:eu-west-1:210987654321:workgroup/%-#", [
        "StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "GetQueryResults",
        "ListWorkGroups", "GetWorkGroup", "CreateNamedQuery", "DeleteNamedQuery",
        "BatchGetQueryExecution", "ListDatabases",
    ]),
    service("states", "arn:aws:states:eu-west-1:210987654321:stateMachine:%-flow-#", [
        "StartExecution", "StopExecution", "DescribeExecution", "GetExecutionHistory",
        "CreateStateMachine", "DeleteStateMachine", "UpdateStateMachine", "SendTaskSuccess",
        "SendTaskFailure", "ListExecutions",
    ]),
    service("events", "arn:aws:events:eu-west-1:210987654321:rule/%-rule-#", [
        "PutEvents", "PutRule", "DeleteRule", "PutTargets", "RemoveTargets", "DescribeRule",
        "EnableRule", "DisableRule", "ListRules", "TestEventPattern",
    ]),
    service("cloudformation", "arn:aws:cloudformation:eu-west-1:210987654321:stack/%-stack/#", [
        "CreateStack", "UpdateStack", "DeleteStack", "DescribeStacks", "ListStacks",
        "GetTemplate", "CreateChangeSet", "ExecuteChangeSet", "ValidateTemplate",
        "DescribeStackEvents",
    ]),
    service("route53", "arn:aws:route53:::hostedzone/Z%#", [
        "ChangeResourceRecordSets", "ListResourceRecordSets", "GetHostedZone", "ListHostedZones",
        "CreateHostedZone", "DeleteHostedZone", "GetChange", "CreateHealthCheck",
        "DeleteHealthCheck", "GetHealthCheck",
    ]),
    service("apigateway", "arn:aws:apigateway:eu-west-1::/restapis/%-#", [
        "GetRestApi", "CreateRestApi", "DeleteRestApi", "UpdateRestApi", "GetStage",
        "CreateStage", "DeleteStage", "CreateDeployment", "GetApiKeys", "CreateApiKey",
    ]),
    service("elasticfilesystem", "arn:aws:elasticfilesystem:eu-west-1:210987654321:file-system/%-#", [
        "ClientMount", "ClientWrite", "ClientRootAccess", "CreateFileSystem", "DeleteFileSystem",
        "DescribeFileSystems", "CreateMountTarget", "DeleteMountTarget", "PutBackupPolicy",
        "DescribeMountTargets",
    ]),
];

/// The full names of all actions.
pub fn actions() -> Vec<String> {
    let full = |s: &'static Service| s.actions.iter().map(move |a| format!("{}:{a}", s.prefix));
    ALL.iter().flat_map(full).collect()
}

/// The services as a place that references can outlive.
pub static ALL: &[Service] = &SERVICES;
