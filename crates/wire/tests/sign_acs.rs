//! Alibaba Cloud's two signatures against the recorded vectors, and against attacks on them.
//!
//! `check` is the whole path a server walks. Each `atk_…` test names its row of the attack table
//! and first shows that the untouched request passes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at the first surprise")]

use wire::http::{Request, percent_encode};
use wire::sign_acs::{Fault, Presented, check_time, parameters, present, verify};

const KEY: &str = "LTAItestid000000000001";
const SECRET: &str = "testsecret0000000000000000000001";
/// 2026-11-23T01:48:16Z, when the vectors were recorded.
const NOW: i64 = 1_795_398_496;

fn check_with(request: &Request, secret: &str, now_s: i64) -> Result<Presented, Fault> {
    let asked = parameters(request)?;
    let Some(presented) = present(request, &asked)? else { panic!("no signature") };
    check_time(&presented, now_s)?;
    verify(&presented, request, &asked, secret)?;
    Ok(presented)
}

fn check(request: &Request) -> Result<Presented, Fault> {
    check_with(request, SECRET, NOW)
}

fn code(result: Result<Presented, Fault>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.code.to_owned(),
    }
}

fn lines(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// ALIBABA.md 5, vector B: recorded from the old Python client.
fn v1() -> Request {
    Request {
        method: "POST".into(),
        path: "/".into(),
        query: "ServiceName=config.aliyuncs.com&CustomSuffix=a%20b%2A~&Description=d%20%C3%A9%2F%2B&Version=2020-03-31&Action=CreateServiceLinkedRole&Format=JSON&RegionId=cn-hangzhou&Timestamp=2026-11-23T01%3A48%3A17Z&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0&SignatureNonce=b212df8057e9382b685bd7494031a7a6&AccessKeyId=LTAItestid000000000001&Signature=Cv0veXqJqYH7G3EK9iWB%2B9XpeR4%3D".into(),
        headers: lines(&[("host", "127.0.0.1:34169"), ("x-acs-action", "CreateServiceLinkedRole")]),
        body: Vec::new(),
    }
}

const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const AUTHORIZATION: &str = "ACS3-HMAC-SHA256 Credential=LTAItestid000000000001,SignedHeaders=accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=488009c1727bbd72776ab877270e43924182cc6d5a3f1f822473e30336510270";

/// ALIBABA.md 6: recorded from the new Python client.
fn v3() -> Request {
    Request {
        method: "POST".into(),
        path: "/".into(),
        query: "CustomSuffix=a+b%2A~&Description=d+%C3%A9%2F%2B&ServiceName=config.aliyuncs.com"
            .into(),
        headers: lines(&[
            ("accept-encoding", "identity"),
            ("host", "127.0.0.1:34169"),
            ("x-acs-version", "2020-03-31"),
            ("x-acs-action", "CreateServiceLinkedRole"),
            ("user-agent", "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2"),
            ("x-acs-date", "2026-11-23T01:48:16Z"),
            ("x-acs-signature-nonce", "c5c299e6e6ed5ff999c0d49dda3563f9"),
            ("accept", "application/json"),
            ("x-acs-content-sha256", HASH_OF_NOTHING),
            ("x-acs-credentials-provider", "static_ak"),
            ("authorization", AUTHORIZATION),
            ("content-length", "0"),
        ]),
        body: Vec::new(),
    }
}

fn replace(request: &Request, from: &str, to: &str) -> Request {
    let mut changed = request.clone();
    changed.query = changed.query.replace(from, to);
    for (_, value) in &mut changed.headers {
        *value = value.replace(from, to);
    }
    assert_ne!(changed, *request, "{from} is not there");
    changed
}

fn with_header(request: &Request, name: &str, value: &str) -> Request {
    let mut changed = request.clone();
    changed.headers.push((name.to_owned(), value.to_owned()));
    changed
}

#[test]
fn the_vendors_vector_of_version_1_is_accepted() {
    let request = Request {
        method: "GET".into(),
        path: "/".into(),
        query: "UserName=test&SignatureVersion=1.0&Format=JSON&Timestamp=2015-08-18T03%3A15%3A45Z&AccessKeyId=testid&SignatureMethod=HMAC-SHA1&Version=2015-05-01&Signature=kRA2cnpJVacIhDMzXnoNZG9tDCI%3D&Action=CreateUser&SignatureNonce=6a6e0ca6-4557-11e5-86a2-b8e8563dc8d2".into(),
        headers: lines(&[("host", "ram.aliyuncs.com")]),
        body: Vec::new(),
    };
    let presented = check_with(&request, "testsecret", 1_439_867_745).unwrap();
    assert_eq!((presented.key_id.as_str(), presented.token), ("testid", None));
}

#[test]
fn recorded_requests_are_accepted() {
    assert_eq!(check(&v1()).unwrap().key_id, KEY);
    assert_eq!(check(&v3()).unwrap().key_id, KEY);
}

#[test]
fn the_same_parameters_may_stand_in_the_form() {
    // As pop-core sends them, with other escapes for the same text.
    let mut request = v1();
    request.body = std::mem::take(&mut request.query).replace("%20", "+").into_bytes();
    request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    check(&request).unwrap();
    // As the Terraform provider sends them: what is asked in the form, the rest in the query.
    let whole = v1();
    let (asked, rest) = whole.query.split_once("&Version").unwrap();
    let request = Request {
        query: format!("Version{rest}"),
        body: asked.as_bytes().to_vec(),
        headers: lines(&[("content-type", "application/x-www-form-urlencoded")]),
        ..whole.clone()
    };
    check(&request).unwrap();
}

#[test]
fn a_wrong_text_is_told_what_the_server_signed() {
    let request = replace(&v1(), "config.aliyuncs.com", "tag.aliyuncs.com");
    let fault = check(&request).unwrap_err();
    let (head, text) = fault.message.split_once("server string to sign is:").unwrap();
    assert_eq!(head, "Specified signature is not matched with our calculation. ");
    assert!(text.starts_with("POST&%2F&AccessKeyId%3DLTAItestid000000000001%26Action"), "{text}");
    assert!(text.contains("ServiceName%3Dtag.aliyuncs.com"), "{text}");
    assert!(!text.contains("Cv0ve"), "the signature is not signed: {text}");
    // The same text with another secret: only the secret can be wrong.
    let wrong = check_with(&v1(), "testsecret0000000000000000000002", NOW).unwrap_err();
    assert!(wrong.message.contains("ServiceName%3Dconfig.aliyuncs.com"), "{}", wrong.message);
}

#[test]
fn atk_a01_acs_no_parameter_or_header_stands_twice() {
    check(&v1()).unwrap();
    check(&v3()).unwrap();
    for name in ["AccessKeyId", "Action", "Signature", "ServiceName", "SignatureNonce"] {
        let mut twice = v1();
        twice.query.push_str(&format!("&{name}=x"));
        assert_eq!(code(check(&twice)), "InvalidParameter", "{name}");
    }
    for name in ["action", "ACCESSKEYID", "signature", "Securitytoken"] {
        let mut other = v1();
        other.query.push_str(&format!("&{name}=x"));
        assert_eq!(code(check(&other)), "InvalidParameter", "{name}");
    }
    for name in ["authorization", "host", "x-acs-action", "x-acs-date", "X-Acs-Version"] {
        assert_eq!(code(check(&with_header(&v3(), name, "x"))), "IncompleteSignature", "{name}");
    }
}

#[test]
fn atk_a02_acs_one_carrier_of_the_signature() {
    check(&v1()).unwrap();
    let both = with_header(&v1(), "authorization", AUTHORIZATION);
    assert_eq!(code(check(&both)), "IncompleteSignature");
    for part in ["Signature=x", "AccessKeyId=LTAIother", "SignatureNonce=1"] {
        let mut both = v3();
        both.query.push_str(&format!("&{part}"));
        assert_eq!(code(check(&both)), "IncompleteSignature", "{part}");
    }
    let other = with_header(&v3(), "x-acs-accesskey-id", "LTAIother");
    assert_eq!(code(check(&other)), "IncompleteSignature");
}

#[test]
fn atk_a04_acs_the_body_is_the_signed_one() {
    check(&v3()).unwrap();
    let mut swapped = with_header(&v3(), "content-type", "application/x-www-form-urlencoded");
    swapped.body = b"RoleName=other".to_vec();
    assert_eq!(code(check(&swapped)), "SignatureDoesNotMatch");
    let told = replace(&v3(), HASH_OF_NOTHING, &"0".repeat(64));
    assert_eq!(code(check(&told)), "SignatureDoesNotMatch");
    let mut form = v1();
    form.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    form.body = b"RoleName=other".to_vec();
    assert_eq!(code(check(&form)), "SignatureDoesNotMatch");
    // Nothing is hidden in a body that nobody reads.
    let mut raw = v1();
    raw.body = b"{}".to_vec();
    assert_eq!(code(check(&raw)), "InvalidParameter");
}

#[test]
fn atk_a05_acs_a_header_that_counts_is_signed() {
    check(&v3()).unwrap();
    for (name, value) in [("x-acs-security-token", "t"), ("x-acs-region-id", "cn-hangzhou")] {
        let added = with_header(&v3(), name, value);
        assert_eq!(code(check(&added)), "IncompleteSignature", "{name}");
    }
    for name in ["host;", "x-acs-action;", "x-acs-date;", ";x-acs-version"] {
        let fewer = replace(&v3(), name, "");
        assert_eq!(code(check(&fewer)), "IncompleteSignature", "{name}");
    }
    let changed = replace(&v3(), "CreateServiceLinkedRole", "DeleteServiceLinkedRole");
    assert_eq!(code(check(&changed)), "SignatureDoesNotMatch");
}

#[test]
fn atk_a09_acs_forms_have_one_reading() {
    check(&v1()).unwrap();
    for bad in ["&&x=1", "&=x", "&x=%zz", "&x=%c0%af", "&x=%00"] {
        let mut request = v1();
        request.query.push_str(bad);
        assert_eq!(code(check(&request)), "InvalidParameter", "{bad}");
    }
}

#[test]
fn atk_a10_acs_no_name_stands_in_query_and_form() {
    let mut request = v1();
    request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    check(&request).unwrap();
    for body in ["Action=DeleteRole", "servicename=tag.aliyuncs.com"] {
        request.body = body.as_bytes().to_vec();
        assert_eq!(code(check(&request)), "InvalidParameter", "{body}");
    }
}

#[test]
fn atk_a12_acs_a_signature_ends_with_its_window() {
    let request = v3();
    for (offset_s, answer) in [
        (0, "accepted"),
        (899, "accepted"),
        (900, "accepted"),
        (901, "InvalidTimeStamp.Expired"),
        (-900, "accepted"),
        (-901, "InvalidTimeStamp.Expired"),
        (i64::MAX - NOW, "InvalidTimeStamp.Expired"),
        (i64::MIN, "InvalidTimeStamp.Expired"),
    ] {
        let now_s = NOW.saturating_add(offset_s);
        assert_eq!(code(check_with(&request, SECRET, now_s)), answer, "{offset_s}");
    }
    for bad in ["x", "2026-11-23 01:48:16", "20261123T014816Z", "9999-13-01T00:00:00Z"] {
        let request = replace(&v1(), "2026-11-23T01%3A48%3A17Z", &percent_encode(bad));
        assert_eq!(code(check(&request)), "InvalidTimeStamp.Format", "{bad}");
    }
    let far = replace(&v1(), "2026-11-23T01%3A48%3A17Z", "9999-12-31T23%3A59%3A59Z");
    assert_eq!(code(check(&far)), "InvalidTimeStamp.Expired");
}

#[test]
fn atk_a13_a_nonce_is_remembered_with_its_key_and_nothing_else() {
    let first = check(&v3()).unwrap().nonce_digest();
    let (asked, other) = {
        let request = replace(&v3(), "c5c299e6e6ed5ff999c0d49dda3563f9", "c5c2");
        (parameters(&request).unwrap(), request)
    };
    let other = present(&other, &asked).unwrap().unwrap().nonce_digest();
    assert_ne!(first, other);
    let same = replace(&v3(), "2026-11-23T01:48:16Z", "2026-11-23T01:48:17Z");
    assert_eq!(first, present(&same, &asked).unwrap().unwrap().nonce_digest());
    let key = replace(&v3(), KEY, "LTAItestid000000000002");
    assert_ne!(first, present(&key, &asked).unwrap().unwrap().nonce_digest());
    let without = replace(&v3(), "c5c299e6e6ed5ff999c0d49dda3563f9", "");
    assert_eq!(code(check(&without)), "MissingSignatureNonce");
    let without = replace(&v1(), "b212df8057e9382b685bd7494031a7a6", "");
    assert_eq!(code(check(&without)), "MissingSignatureNonce");
}

#[test]
fn atk_a16_acs_no_other_algorithm_is_taken() {
    check(&v1()).unwrap();
    check(&v3()).unwrap();
    for other in ["HMAC-SHA256", "HMAC-MD5", "", "hmac-sha1", "NONE"] {
        let request = replace(&v1(), "HMAC-SHA1", other);
        assert_eq!(code(check(&request)), "InvalidSignatureMethod", "{other}");
    }
    for other in ["ACS3-HMAC-SM3", "ACS3-RSA-SHA256", "ACS4-HMAC-SHA256", "AWS4-HMAC-SHA256"] {
        let request = replace(&v3(), "ACS3-HMAC-SHA256", other);
        assert_eq!(code(check(&request)), "InvalidSignatureMethod", "{other}");
    }
    let old = replace(&v1(), "SignatureVersion=1.0", "SignatureVersion=0.9");
    assert_eq!(code(check(&old)), "IncompleteSignature");
}

#[test]
fn atk_a17_acs_other_carriers_of_identity_are_refused() {
    check(&v1()).unwrap();
    for other in ["BEARERTOKEN", "PRIVATEKEY", "x"] {
        let request = replace(&v1(), "SignatureType=", &format!("SignatureType={other}"));
        assert_eq!(code(check(&request)), "InvalidSignatureMethod", "{other}");
    }
    for method in ["OPTIONS", "PUT", "HEAD", "post", ""] {
        let request = Request { method: method.to_owned(), ..v1() };
        assert_eq!(code(check(&request)), "UnsupportedHTTPMethod", "{method}");
    }
}

#[test]
fn a_signature_of_another_length_matches_nothing() {
    for bad in ["AA%3D%3D", "%3D", "Cv0veXqJqYH7G3EK9iWB%2B9XpeR4AAAAA"] {
        let request = replace(&v1(), "Cv0veXqJqYH7G3EK9iWB%2B9XpeR4%3D", bad);
        assert_eq!(code(check(&request)), "SignatureDoesNotMatch", "{bad}");
    }
    for bad in ["4880", "zz", "488009c1727bbd72776ab877270e43924182cc6d5a3f1f822473e303365102"] {
        let whole = "488009c1727bbd72776ab877270e43924182cc6d5a3f1f822473e30336510270";
        assert_eq!(code(check(&replace(&v3(), whole, bad))), "SignatureDoesNotMatch", "{bad}");
    }
}
