//! The vendors' unmodified clients against the real binary, in memory and on disk.
//!
//! The tests themselves are Python, in `clients/`. `cargo xtask test` installs the clients and says
//! where they are; without it the `python3` of the path is taken.

#![expect(clippy::panic, reason = "tests may fail loudly")]

use std::path::Path;
use std::process::Command;

fn run(module: &str, kind: &str) {
    let python = std::env::var("LINKROLE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let done = Command::new(python)
        .args(["-m", "unittest", "-q", module])
        .current_dir(folder)
        .env("LINKROLE_TEST_BINARY", env!("CARGO_BIN_EXE_linkrole"))
        .env("LINKROLE_TEST_KIND", kind)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    match done {
        Ok(done) if done.status.success() => {}
        Ok(done) => panic!("{module} ({kind}):\n{}", String::from_utf8_lossy(&done.stderr)),
        Err(error) => panic!("python3 does not run ({error}); run `cargo xtask test`"),
    }
}

macro_rules! clients {
    ($($name:ident: $module:literal on $kind:literal;)*) => {$(
        #[test]
        fn $name() {
            run($module, $kind);
        }
    )*};
}

clients! {
    boto3_service_linked_roles_in_memory: "test_slr" on "dev";
    boto3_service_linked_roles_on_disk: "test_slr" on "disk";
    boto3_every_operation_in_memory: "test_wire" on "dev";
    boto3_every_operation_on_disk: "test_wire" on "disk";
    aws_command_line_in_memory: "test_cli" on "dev";
    aws_command_line_on_disk: "test_cli" on "disk";
    alibaba_clients_in_memory: "test_alibaba" on "dev";
    alibaba_clients_on_disk: "test_alibaba" on "disk";
    alibaba_services_in_memory: "test_alibaba_services" on "dev";
    alibaba_tokens: "test_alibaba_oidc" on "none";
    services_that_prove_themselves: "test_identity" on "none";
    alibaba_quotas_in_memory: "test_alibaba_quotas" on "dev";
    alibaba_tags_in_memory: "test_alibaba_tags" on "dev";
    alibaba_guards_in_memory: "test_alibaba_guards" on "dev";
    alibaba_clients_for_node_in_memory: "test_node" on "dev";
    tls: "test_tls" on "none";
    our_command_line_on_disk: "test_commands" on "disk";
    vendors_services_in_memory: "test_vendors" on "dev";
    vendors_policies_in_memory: "test_catalog" on "dev";
    vendors_services_on_disk: "test_vendors" on "disk";
    services_and_their_tenants_in_memory: "test_services" on "dev";
    services_and_their_tenants_on_disk: "test_services" on "disk";
    callbacks_of_services_in_memory: "test_callbacks" on "dev";
    condition_keys_in_memory: "test_context" on "dev";
    policies_that_services_offer_in_memory: "test_offered" on "dev";
    policies_that_services_offer_on_disk: "test_offered" on "disk";
    cloudtrail_in_memory: "test_cloudtrail" on "dev";
    cloudtrail_on_disk: "test_cloudtrail" on "disk";
    last_accessed_in_memory: "test_access" on "dev";
    last_accessed_on_disk: "test_access" on "disk";
    console_in_a_browser: "test_console" on "dev";
    evidence_of_the_trail: "test_audit" on "none";
    agent_in_memory: "test_agent" on "dev";
    faults_on_demand: "test_inject" on "none";
    edges_of_the_server_on_disk: "test_edge" on "disk";
    schema_of_case_files: "test_schema" on "none";
    native_api_is_as_described: "test_openapi" on "dev";
    service_in_python_in_memory: "test_python_service" on "dev";
    service_in_python_on_disk: "test_python_service" on "disk";
    scenarios_on_disk: "test_scenarios" on "disk";
    demo_cloud_killed: "test_cloud_kill" on "disk";
    kill_at_random_moments: "test_kill" on "disk";
}
