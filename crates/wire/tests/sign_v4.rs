//! Signature Version 4 against requests that botocore signed, and against attacks on them.
//!
//! `check` is the whole path a server walks. Each `atk_…` test names its row of the attack table
//! and first shows that the untouched request passes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

use proptest::prelude::*;
use wire::http::{FormError, Request, parse_form, percent_encode};
use wire::sign_v4::{
    Carrier, Fault, Presented, check_scope, check_time, dummy_key, present, signing_key, verify,
    verify_forwarded,
};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-03-14T15:09:26Z, the frozen clock of the corpus.
const NOW: i64 = 1_773_500_966;
const SERVICES: [&str; 4] = ["iam", "sts", "cloudtrail", "storage"];

struct Case {
    name: String,
    token: Option<String>,
    request: Request,
}

fn corpus() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus/sign/botocore.json");
    let text = std::fs::read_to_string(path).unwrap();
    let values: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    values
        .iter()
        .map(|value| Case {
            name: text(&value["name"]),
            token: value["token"].as_str().map(str::to_owned),
            request: Request {
                method: text(&value["method"]),
                path: text(&value["path"]),
                query: text(&value["query"]),
                headers: value["headers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|line| (text(&line[0]), text(&line[1])))
                    .collect(),
                body: text(&value["body"]).into_bytes(),
            },
        })
        .collect()
}

fn case(name: &str) -> Request {
    corpus().into_iter().find(|case| case.name == name).expect(name).request
}

/// The path of a server: claim, scope, key, signature, time.
fn check_at(request: &Request, now_s: i64) -> Result<Presented, Fault> {
    let p = present(request)?.ok_or_else(Fault::missing_token)?;
    check_scope(&p, &SERVICES)?;
    check_time(&p, now_s)?;
    if p.key_id != KEY {
        let _ = verify(&p, request, &dummy_key());
        return Err(Fault::unknown_key());
    }
    verify(&p, request, &signing_key(SECRET, &p.date, &p.region, &p.service))?;
    Ok(p)
}

fn check(request: &Request) -> Result<Presented, Fault> {
    check_at(request, NOW)
}

fn refused(request: &Request) -> Fault {
    check(request).expect_err("accepted")
}

fn set(request: &mut Request, name: &str, value: &str) {
    request.headers.iter_mut().find(|(held, _)| held == name).unwrap().1 = value.to_owned();
}

fn edit(request: &mut Request, name: &str, from: &str, to: &str) {
    let line = request.headers.iter_mut().find(|(held, _)| held == name).unwrap();
    assert!(line.1.contains(from), "`{from}` not in `{}`", line.1);
    line.1 = line.1.replacen(from, to, 1);
}

fn add(request: &mut Request, name: &str, value: &str) {
    request.headers.push((name.to_owned(), value.to_owned()));
}

#[test]
fn every_request_of_botocore_passes() {
    let cases = corpus();
    assert!(cases.len() >= 40);
    for case in cases {
        let p = check(&case.request).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        assert_eq!(p.time, NOW, "{}", case.name);
        assert_eq!(p.token, case.token, "{}", case.name);
        let hash = sha256_hex(&case.request.body);
        let key = signing_key(SECRET, &p.date, &p.region, &p.service);
        let Request { method, path, query, headers, .. } = &case.request;
        let signed: Vec<_> =
            headers.iter().filter(|(name, _)| p.signed_headers.contains(name)).cloned().collect();
        verify_forwarded(&p, method, path, query, &signed, &hash, &key).unwrap();
        assert!(verify_forwarded(&p, "PATCH", path, query, &signed, &hash, &key).is_err());
        let other = sha256_hex(b"another body");
        assert!(verify_forwarded(&p, method, path, query, &signed, &other, &key).is_err());
        let upper = hash.to_uppercase();
        assert!(verify_forwarded(&p, method, path, query, &signed, &upper, &key).is_err());
        assert!(verify_forwarded(&p, method, path, query, &signed[1..], &hash, &key).is_err());
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs with the headers and the path exactly as given, as no SDK would.
fn sign_by_hand(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    use hmac::{KeyInit, Mac};
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let hash = sha256_hex(body);
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{hash}");
    let scope = "20260314/us-east-1/iam/aws4_request";
    let hash = sha256_hex(canonical.as_bytes());
    let text = format!("AWS4-HMAC-SHA256\n20260314T150926Z\n{scope}\n{hash}");
    let key = signing_key(SECRET, "20260314", "us-east-1", "iam");
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key.as_slice()).unwrap();
    mac.update(text.as_bytes());
    let signature: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        body: body.to_vec(),
        ..Request::default()
    };
    for (name, value) in headers {
        add(&mut request, name, value);
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    add(&mut request, "authorization", &authorization);
    request
}

const BY_HAND: [(&str, &str); 2] = [("host", "h"), ("x-amz-date", "20260314T150926Z")];

#[test]
fn atk_a08_a_path_with_two_readings_has_no_signature() {
    check(&sign_by_hand("GET", "/v1/a", &BY_HAND, b"")).unwrap();
    for path in ["/v1//a", "/v1/./a", "/v1/x/../a", "/v1/..", "v1/a"] {
        assert_eq!(refused(&sign_by_hand("GET", path, &BY_HAND, b"")), Fault::no_match(), "{path}");
    }
}

#[test]
fn atk_a04_a_signed_lie_about_the_body() {
    let stated = |hash: &str| {
        let headers = [BY_HAND[0], ("x-amz-content-sha256", hash), BY_HAND[1]];
        sign_by_hand("POST", "/", &headers, b"body")
    };
    check(&stated(&sha256_hex(b"body"))).unwrap();
    assert_eq!(refused(&stated(&sha256_hex(b"other"))), Fault::no_match());
}

#[test]
fn the_published_key_derivation_holds() {
    // The example of the AWS documentation.
    let key = signing_key(SECRET, "20150830", "us-east-1", "iam");
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

#[test]
fn no_material_is_none_and_logs_hold_no_secret() {
    assert_eq!(present(&Request::default()), Ok(None));
    let p = present(&case("caller identity, token")).unwrap().unwrap();
    assert_eq!(p.carrier, Carrier::Header);
    let shown = format!("{p:?}");
    assert!(!shown.contains("IQoJ") && !shown.contains("e09a"), "{shown}");
}

#[test]
fn texts_are_those_of_the_table() {
    let text = |change: &dyn Fn(&mut Request)| {
        let mut request = case("caller identity");
        change(&mut request);
        let fault = refused(&request);
        (fault.code, fault.status, fault.message)
    };
    let auth = |to: &'static str| text(&move |r: &mut Request| set(r, "authorization", to));
    assert_eq!(
        auth("AWS4-HMAC-SHA256"),
        (
            "IncompleteSignature",
            400,
            "Authorization header requires 'Credential' parameter. Authorization header requires \
             'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. \
             Authorization=AWS4-HMAC-SHA256"
                .to_owned()
        )
    );
    assert_eq!(
        auth("AWS4-HMAC-SHA256 Credential").2,
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: \
         'AWS4-HMAC-SHA256 Credential'."
    );
    assert_eq!(auth("Bearer x").2, "Unsupported AWS 'algorithm': 'Bearer'");
    let edited = |from: &'static str, to: &'static str| {
        text(&move |r: &mut Request| edit(r, "authorization", from, to))
    };
    assert_eq!(
        edited("/sts/", "/sts/x/").2,
        "Credential must have exactly 5 slash-delimited elements, e.g. \
         keyid/date/region/service/term, got 'AKIDEXAMPLE/20260314/us-east-1/sts/x/aws4_request'"
    );
    assert_eq!(
        edited("aws4_request", "aws5_request"),
        (
            "SignatureDoesNotMatch",
            403,
            "Credential should be scoped with a valid terminator: 'aws4_request', not \
             'aws5_request'."
                .to_owned()
        )
    );
    assert_eq!(
        edited("20260314", "20260313").2,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
         HTTP: '20260313' != '20260314', from '20260314T150926Z'."
    );
    assert_eq!(
        edited("us-east-1/sts", "US/s3").2,
        "Credential should be scoped to a valid region. Credential should be scoped to correct \
         service: 'iam'. "
    );
    assert_eq!(edited("Signature=9", "Signature=8"), {
        let Fault { code, status, message } = Fault::no_match();
        (code, status, message)
    });
    let no_date = text(&|r: &mut Request| r.headers.retain(|(name, _)| name != "x-amz-date"));
    assert!(no_date.2.starts_with(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
         Authorization=AWS4"
    ));
    let mut presigned = case("presigned");
    presigned.query = presigned.query.replace("X-Amz-Date=", "Y=");
    assert_eq!(
        refused(&presigned).message,
        "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string \
         parameters."
    );
}

#[test]
fn atk_a01_duplicate_or_respelled_authentication() {
    let presigned = case("presigned, token");
    check(&presigned).unwrap();
    let parts: Vec<String> = presigned.query.split('&').map(str::to_owned).collect();
    for part in parts.iter().filter(|part| part.starts_with("X-Amz-")) {
        let (name, value) = part.split_once('=').unwrap();
        for again in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let mut request = presigned.clone();
            request.query = format!("{}&{again}={value}", presigned.query);
            assert_eq!(refused(&request).status, 400, "{again}");
            request.query = format!("{again}=&{}", presigned.query);
            assert_eq!(refused(&request).status, 400, "{again}");
            let escaped = again.replace('X', "%58");
            request.query = format!("{}&{escaped}={value}", presigned.query);
            assert_eq!(refused(&request).status, 400, "{escaped}");
        }
        let mut request = presigned.clone();
        request.query = presigned.query.replace(name, &name.to_lowercase());
        assert_eq!(refused(&request).status, 400, "{name}");
    }
    let signed = case("caller identity, token");
    check(&signed).unwrap();
    for (name, value) in &signed.headers {
        if name.starts_with("amz-sdk") || name == "user-agent" {
            continue;
        }
        for again in [name.clone(), name.to_uppercase()] {
            let mut request = signed.clone();
            add(&mut request, &again, value);
            assert_eq!(refused(&request).status, 400, "{again}");
        }
    }
    for part in ["Credential=x", "Signature=x", "SignedHeaders=x", "credential=x", "Other=x", ""] {
        let mut request = signed.clone();
        edit(&mut request, "authorization", "Signature=", &format!("{part}, Signature="));
        assert_eq!(refused(&request).status, 400, "{part}");
    }
    // In a form body, where no accepted request has them.
    let mut request = case("caller identity");
    request.body.extend_from_slice(b"&x-amz-credential=a");
    assert_eq!(refused(&request).status, 400);
}

#[test]
fn atk_a02_two_carriers() {
    let header = case("caller identity, token");
    let query = case("presigned, token");
    check(&header).unwrap();
    check(&query).unwrap();
    let mut both = header.clone();
    both.query.clone_from(&query.query);
    assert_eq!(refused(&both).status, 400);
    for part in query.query.split('&').filter(|part| part.starts_with("X-Amz-")) {
        let mut request = header.clone();
        request.query = part.to_owned();
        assert_eq!(refused(&request).status, 400, "{part}");
        request = header.clone();
        request.body.extend_from_slice(format!("&{part}").as_bytes());
        assert_eq!(refused(&request).status, 400, "{part}");
    }
    for (name, value) in header.headers.iter().filter(|(name, _)| {
        name == "authorization" || name == "x-amz-date" || name == "x-amz-security-token"
    }) {
        let mut request = query.clone();
        add(&mut request, name, value);
        assert_eq!(refused(&request).status, 400, "{name}");
    }
}

#[test]
fn atk_a03_payload_sentinels() {
    let stated = case("header, stated hash");
    check(&stated).unwrap();
    for sentinel in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "unsigned-payload",
        "required",
        "",
    ] {
        let mut request = stated.clone();
        set(&mut request, "x-amz-content-sha256", sentinel);
        assert_eq!(refused(&request).status, 400, "{sentinel}");
        let mut request = case("presigned");
        request.query.push_str(&format!("&X-Amz-Content-Sha256={sentinel}"));
        assert_eq!(refused(&request).status, 400, "{sentinel}");
        let p = present(&stated).unwrap().unwrap();
        let key = signing_key(SECRET, &p.date, &p.region, &p.service);
        let Request { method, path, query, headers, .. } = &stated;
        assert!(verify_forwarded(&p, method, path, query, headers, sentinel, &key).is_err());
    }
}

#[test]
fn atk_a04_swapped_body() {
    for case in corpus() {
        check(&case.request).unwrap();
        let mut request = case.request.clone();
        request.body.push(b' ');
        assert_eq!(refused(&request), Fault::no_match(), "{}", case.name);
    }
    // A stated hash that is right for the signature but not for the body.
    let mut request = case("header, stated hash");
    request.body = b"atad".to_vec();
    assert_eq!(refused(&request), Fault::no_match());
    // One that is right for the body but was not the one signed.
    set(&mut request, "x-amz-content-sha256", &sha256_hex(b"atad"));
    assert_eq!(refused(&request), Fault::no_match());
}

#[test]
fn atk_a05_unsigned_acted_on_headers() {
    let signed = case("caller identity");
    check(&signed).unwrap();
    for name in [
        "x-amz-security-token",
        "x-amz-target",
        "x-amz-content-sha256",
        "x-amz-anything",
        "x-linkrole-service",
        "X-Amz-Meta",
    ] {
        let mut request = signed.clone();
        add(&mut request, name, &sha256_hex(b""));
        assert_eq!(refused(&request).status, 403, "{name}");
        let mut request = case("presigned");
        add(&mut request, name, &sha256_hex(b""));
        assert!(matches!(refused(&request).status, 400 | 403), "{name}");
    }
    for name in ["x-amzn-trace-id", "x-forwarded-for", "x-amz-cf-id", "via"] {
        let mut request = signed.clone();
        add(&mut request, name, "added by a proxy");
        check(&request).unwrap();
    }
    // Taken out of the list of signed headers.
    for name in ["x-amz-date", "host", "content-type"] {
        let mut request = signed.clone();
        let list = "content-type;host;x-amz-date";
        let shorter: Vec<&str> = list.split(';').filter(|held| *held != name).collect();
        edit(&mut request, "authorization", list, &shorter.join(";"));
        assert_eq!(refused(&request).status, 403, "{name}");
    }
    // A media type other than a form's cannot be put on unsigned.
    let mut request = case("get query");
    add(&mut request, "content-type", "application/json");
    assert!(refused(&request).message.starts_with("'content-type' must be a 'SignedHeader'"));
}

#[test]
fn atk_a06_host() {
    let signed = case("caller identity");
    check(&signed).unwrap();
    let mut request = signed.clone();
    set(&mut request, "host", "other.example.test");
    assert_eq!(refused(&request), Fault::no_match());
    let mut request = signed.clone();
    request.headers.retain(|(name, _)| name != "host");
    assert_eq!(refused(&request).status, 403);
    let mut request = signed.clone();
    add(&mut request, "host", "other.example.test");
    assert_eq!(refused(&request).status, 400);
    let mut request = signed;
    edit(&mut request, "authorization", "content-type;host;", "content-type;");
    assert!(refused(&request).message.starts_with("'Host' or ':authority' must be"));
}

#[test]
fn atk_a07_header_lines() {
    let signed = case("header, inner spaces");
    check(&signed).unwrap();
    let value = signed.header("x-amz-meta-a").unwrap().to_owned();
    assert!(value.contains("   "));
    for (changed, accepted) in [
        ("a b c", true),
        ("\ta\t b \tc\t", true),
        ("a bc", false),
        ("ab c", false),
        ("a\u{a0}b c", false),
        ("a b c\r\n x", false),
        ("a\n b c", false),
        ("a b c\0", false),
        ("a b C", false),
    ] {
        let mut request = signed.clone();
        set(&mut request, "x-amz-meta-a", changed);
        assert_eq!(check(&request).is_ok(), accepted, "{changed:?}");
    }
    for list in [
        "host;x-amz-meta-a;x-amz-date",
        "Host;x-amz-date;x-amz-meta-a",
        "host;host;x-amz-date;x-amz-meta-a",
        "host;x-amz-date;x-amz-meta-a;",
        ";host;x-amz-date;x-amz-meta-a",
        "host; x-amz-date;x-amz-meta-a",
    ] {
        let mut request = signed.clone();
        edit(&mut request, "authorization", "host;x-amz-date;x-amz-meta-a", list);
        assert_eq!(refused(&request).status, 400, "{list}");
    }
    // A signed name that is not there.
    let mut request = signed;
    edit(&mut request, "authorization", "host;x-amz", "accept;host;x-amz");
    assert_eq!(refused(&request).status, 403);
}

#[test]
fn atk_a08_paths() {
    let signed = case("native, json");
    check(&signed).unwrap();
    for path in [
        "/v1//authorize",
        "//v1/authorize",
        "/v1/./authorize",
        "/v1/authorize/.",
        "/v1/x/../authorize",
        "/../v1/authorize",
        "/v1%2Fauthorize",
        "/v1%2fauthorize",
        "/v1/%61uthorize",
        "/v1/authorize/",
        "/V1/authorize",
        "v1/authorize",
        "/v1/authorize%00",
        "",
    ] {
        let mut request = signed.clone();
        request.path = path.to_owned();
        assert_eq!(refused(&request), Fault::no_match(), "{path}");
    }
    let escaped = case("path, escaped slash");
    check(&escaped).unwrap();
    for path in ["/bucket/a/b", "/bucket/a%252Fb", "/bucket/a%2fb", "/bucket/./a%2Fb"] {
        let mut request = escaped.clone();
        request.path = path.to_owned();
        assert_eq!(refused(&request), Fault::no_match(), "{path}");
    }
}

#[test]
fn atk_a11_scope() {
    let signed = case("caller identity");
    check(&signed).unwrap();
    let scope = "AKIDEXAMPLE/20260314/us-east-1/sts/aws4_request";
    for at in 0..scope.len() {
        for put in ["", "x", "0", "/", "-", "%"] {
            let mut changed = scope.to_owned();
            changed.replace_range(at..=at, put);
            if changed == scope {
                continue;
            }
            let mut request = signed.clone();
            edit(&mut request, "authorization", scope, &changed);
            check(&request).expect_err(&changed);
        }
    }
    for region in ["", "US-EAST-1", "us_east_1", "us-east-1\u{e9}", &"r".repeat(33)] {
        let mut request = signed.clone();
        edit(&mut request, "authorization", "us-east-1", region);
        assert!(refused(&request).message.contains("valid region"), "{region}");
    }
    let p = present(&signed).unwrap().unwrap();
    check_scope(&p, &["sts"]).unwrap();
    assert_eq!(
        check_scope(&p, &["cloudtrail"]).unwrap_err().message,
        "Credential should be scoped to correct service: 'cloudtrail'. "
    );
    check_scope(&p, &[]).unwrap_err();
}

#[test]
fn atk_a12_replay_outside_the_window() {
    let signed = case("caller identity");
    for (offset, accepted) in
        [(0, true), (899, true), (900, true), (901, false), (-900, true), (-901, false)]
    {
        assert_eq!(check_at(&signed, NOW + offset).is_ok(), accepted, "{offset}");
    }
    assert_eq!(
        check_at(&signed, NOW + 11_000).unwrap_err().message,
        "Signature expired: 20260314T150926Z is now earlier than 20260314T175746Z \
         (20260314T181246Z - 15 min.)"
    );
    assert_eq!(
        check_at(&signed, NOW - 3600).unwrap_err().message,
        "Signature not yet current: 20260314T150926Z is still later than 20260314T142426Z \
         (20260314T140926Z + 15 min.)"
    );
    for now_s in [0, -1, i64::MIN, i64::MAX, 253_402_300_799] {
        assert_eq!(check_at(&signed, now_s).unwrap_err().code, "SignatureDoesNotMatch");
    }
    for date in ["99991231T235959Z", "00000101T000000Z", "19700101T000000Z"] {
        let mut request = signed.clone();
        set(&mut request, "x-amz-date", date);
        edit(&mut request, "authorization", "20260314", date.get(..8).unwrap());
        assert_eq!(refused(&request).code, "SignatureDoesNotMatch", "{date}");
    }
    for date in [
        "20260314T150926",
        "20260314T150926z",
        "20260314 150926Z",
        "2026-03-14T15:09:26Z",
        "20260230T150926Z",
        "20260314T240000Z",
        "20260314T150960Z",
        "+0260314T150926Z",
        "20260314T+50926Z",
        "02026314T150926ZZ",
        "",
        "Z",
        "T",
        "2026031\u{664}T150926Z",
        "Sat, 14 Mar 2026 15:09:26 GMT",
    ] {
        let mut request = signed.clone();
        set(&mut request, "x-amz-date", date);
        assert_eq!(refused(&request).code, "IncompleteSignature", "{date}");
    }
    let presigned = case("presigned");
    for (offset, accepted) in [(0, true), (60, true), (61, false), (-900, true), (-901, false)] {
        assert_eq!(check_at(&presigned, NOW + offset).is_ok(), accepted, "{offset}");
    }
    assert!(check_at(&presigned, NOW + 61).unwrap_err().message.ends_with(" - 1 min.)"));
    check_at(&case("presigned, longest"), NOW + 900).unwrap();
    check_at(&case("presigned, longest"), NOW + 901).unwrap_err();
    check_at(&case("presigned, one second"), NOW + 2).unwrap_err();
}

#[test]
fn atk_a16_algorithms() {
    let signed = case("caller identity");
    check(&signed).unwrap();
    let presigned = case("presigned");
    check(&presigned).unwrap();
    for algorithm in [
        "AWS4-HMAC-SHA1",
        "AWS4-ECDSA-P256-SHA256",
        "aws4-hmac-sha256",
        "AWS4-HMAC-SHA256\t",
        "AWS4-HMAC-SHA512",
        "AWS",
        "ACS3-HMAC-SHA256",
        "Basic",
        "Bearer",
        "AWS4",
        "",
    ] {
        let mut request = signed.clone();
        edit(&mut request, "authorization", "AWS4-HMAC-SHA256", algorithm);
        assert_eq!(refused(&request).code, "IncompleteSignature", "{algorithm}");
        let mut request = presigned.clone();
        request.query = request.query.replace("AWS4-HMAC-SHA256", &percent_encode(algorithm));
        assert_eq!(refused(&request).code, "IncompleteSignature", "{algorithm}");
    }
    // Version 2 of the query form is no authentication at all.
    let request = Request {
        query: "AWSAccessKeyId=AKIDEXAMPLE&SignatureVersion=2&Signature=x".to_owned(),
        ..Request::default()
    };
    assert_eq!(refused(&request), Fault::missing_token());
}

#[test]
fn atk_a23_key_id_spelling() {
    let signed = case("caller identity");
    assert_eq!(check(&signed).unwrap().key_id, KEY);
    for spelled in [
        "akidexample",
        " AKIDEXAMPLE",
        "AKIDEXAMPLE ",
        "AKIDEXAMPLE\u{301}",
        "\u{410}KIDEXAMPLE",
        "AKIDEXAMPL",
        "AKIDEXAMPLEE",
        "%41KIDEXAMPLE",
        "",
    ] {
        let mut request = signed.clone();
        edit(&mut request, "authorization", KEY, spelled);
        assert_eq!(refused(&request), Fault::unknown_key(), "{spelled}");
        assert_eq!(present(&request).unwrap().unwrap().key_id, spelled);
    }
}

#[test]
fn atk_a24_token_swapped() {
    let signed = case("caller identity, token");
    check(&signed).unwrap();
    let mut request = signed.clone();
    edit(&mut request, "x-amz-security-token", "IQoJ", "IQoK");
    assert_eq!(refused(&request), Fault::no_match());
    let mut request = signed;
    request.headers.retain(|(name, _)| name != "x-amz-security-token");
    assert_eq!(refused(&request).status, 403);
}

#[test]
fn atk_a25_expires() {
    let presigned = case("presigned");
    assert!(presigned.query.contains("X-Amz-Expires=60"));
    check(&presigned).unwrap();
    for value in
        ["0", "-1", "901", "3600", "4294967297", "1.5", "", "060", "%2B60", "6e1", "60%20", "0x3c"]
    {
        let mut request = presigned.clone();
        request.query =
            request.query.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={value}"));
        let fault = refused(&request);
        assert_eq!((fault.code, fault.status), ("InvalidQueryParameter", 400), "{value}");
    }
    for value in ["1", "61", "900"] {
        let mut request = presigned.clone();
        request.query =
            request.query.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={value}"));
        assert_eq!(refused(&request), Fault::no_match(), "{value}");
    }
}

#[test]
fn atk_a09_the_query_of_a_signed_request() {
    let signed = case("get query");
    check(&signed).unwrap();
    for tail in ["&", "&&x=1", "&=1", "&x=%", "&x=%C0%AF", "&x=%00"] {
        let mut request = signed.clone();
        request.query.push_str(tail);
        assert_eq!(refused(&request).status, 400, "{tail}");
    }
}

#[test]
fn atk_a10_query_and_body() {
    let mut request = case("caller identity");
    assert_eq!(request.parameters().unwrap()[0].0, "Action");
    request.query = "other=1".to_owned();
    assert_eq!(request.parameters().unwrap().len(), 2);
    for query in ["Action=DeleteRole", "action=DeleteRole", "%41ction=x", "x=1&Version=1"] {
        request.query = query.to_owned();
        assert_eq!(request.parameters(), Err(FormError::InQueryAndBody), "{query}");
        // And the signature never covered that query.
        assert_eq!(refused(&request), Fault::no_match(), "{query}");
    }
    let get = case("get query");
    assert_eq!(get.parameters().unwrap()[0].1, "GetUser");
}

/// Flips one bit somewhere in the request; `None` where that leaves no valid text.
fn flip(request: &Request, bit: usize) -> Option<Request> {
    let mut changed = request.clone();
    let mut at = bit / 8;
    let mask = 1 << (bit % 8);
    let mut in_text = |text: &mut String| -> Option<bool> {
        if at >= text.len() {
            at -= text.len();
            return Some(false);
        }
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= mask;
        *text = String::from_utf8(bytes).ok()?;
        Some(true)
    };
    if in_text(&mut changed.method)? || in_text(&mut changed.path)? || in_text(&mut changed.query)?
    {
        return Some(changed);
    }
    let signed = present(request).unwrap().unwrap().signed_headers;
    for (name, value) in &mut changed.headers {
        if (signed.contains(name) || name == "authorization") && (in_text(name)? || in_text(value)?)
        {
            return Some(changed);
        }
    }
    let length = changed.body.len();
    if length == 0 {
        return None;
    }
    changed.body[at % length] ^= mask;
    Some(changed)
}

/// What a decoder reads; two requests that agree here are one request.
fn meaning(request: &Request) -> impl PartialEq + use<> {
    let mut query = parse_form(&request.query).unwrap();
    query.sort();
    let mut headers = request.headers.clone();
    headers.iter_mut().for_each(|line| line.0 = line.0.to_ascii_lowercase());
    (request.method.clone(), request.path.clone(), query, headers, request.body.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn any_one_bit_change_fails(which in 0_usize..1_000, bit in 0_usize..12_000) {
        let cases = corpus_once();
        let case = &cases[which % cases.len()];
        if let Some(changed) = flip(&case.request, bit) && check(&changed).is_ok() {
            // `%2f` for `%2F` and the like: another spelling of the same request.
            prop_assert!(meaning(&changed) == meaning(&case.request), "{}: bit {bit}", case.name);
        }
    }

    #[test]
    fn nothing_panics(authorization in "\\PC{0,60}|AWS4-HMAC-SHA256 [A-Za-z=/;, ]{0,60}", query in "[ -~]{0,60}|X-Amz-[A-Za-z=&%]{0,40}", path in "\\PC{0,20}", date in "[0-9TZ]{0,20}") {
        let headers = vec![("authorization".to_owned(), authorization), ("x-amz-date".to_owned(), date)];
        let request = Request { method: "GET".to_owned(), path, query, headers, body: Vec::new() };
        prop_assert!(check(&request).is_err());
    }
}

fn corpus_once() -> &'static [Case] {
    static CASES: std::sync::OnceLock<Vec<Case>> = std::sync::OnceLock::new();
    CASES.get_or_init(corpus)
}
