//! Tokens of providers of identities: JSON Web Tokens with a signature by one of the issuer's published keys.
//!
//! Strict where others were lenient: the algorithm is the key's and one of six, nothing of the header selects
//! anything but a key of the issuer, a member stands once, and what a token says is read only after its
//! signature holds. [src: RFC 7515, 7517, 7519; AWS.md 4.5] Not here: where keys come from, and who trusts them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// Longest token, in bytes. [src: the vendor's page on AssumeRoleWithOIDC]
const TOKEN_SIZE: usize = 20_000;
/// Most keys of a set that are looked at.
const KEYS: usize = 100;
/// Smallest modulus of an RSA key, in bytes.
const RSA_SIZE: usize = 256;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no token of this form.
    Malformed(&'static str),
    /// No key of the issuer has its key id.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// A claim is not there, or not of its type.
    Claim(&'static str),
}

/// An algorithm that is taken: all sign with a private key of the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            _ => return None,
        })
    }
}

/// A member that is not listed is of no meaning here; `crit` would be one that must have a meaning.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Body {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    azp: Option<String>,
    exp: Option<serde_json::Number>,
    iat: Option<serde_json::Number>,
    nbf: Option<serde_json::Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What a token says, its signature being right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it.
    pub issuer: String,
    /// Whom it speaks of; not empty.
    pub subject: String,
    /// For whom it is: the authorized party, or the one audience.
    pub client: String,
    /// When it was issued, in seconds since 1970.
    pub issued_s: i64,
    /// When it ends, in seconds since 1970.
    pub expires_s: i64,
    /// Before when it does not count, in seconds since 1970.
    pub not_before_s: Option<i64>,
}

/// What a workload's token says, its signature being right. It may leave out who issued it and when. [src: RFC 7519;
/// SPIFFE, JWT-SVID]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadClaims {
    /// Who issued it.
    pub issuer: Option<String>,
    /// Whom it speaks of; not empty.
    pub subject: String,
    /// For whom it is: its one audience.
    pub audience: String,
    /// The later of when it was issued and of before when it does not count, in seconds since 1970.
    pub begins_s: i64,
    /// When it ends, in seconds since 1970.
    pub expires_s: i64,
}

/// A token that reads, whose signature was not checked yet.
pub struct Token {
    algorithm: Algorithm,
    key_id: String,
    signed: String,
    body: Vec<u8>,
    signature: Vec<u8>,
}

impl Token {
    /// Reads a token.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        if text.len() > TOKEN_SIZE {
            return Err(Wrong::Malformed("it is too long"));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, body, signature] = parts.as_slice() else {
            return Err(Wrong::Malformed("expected three parts"));
        };
        let decode = |part: &str| {
            BASE64.decode(part).map_err(|_| Wrong::Malformed("a part is no base64url text"))
        };
        let signed = format!("{header}.{body}");
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| Wrong::Malformed("the header does not read"))?;
        if header.crit.is_some() {
            return Err(Wrong::Malformed("the header has critical members"));
        }
        let algorithm =
            Algorithm::of(&header.alg).ok_or(Wrong::Malformed("the algorithm is not taken"))?;
        let key_id = header.kid.filter(|id| !id.is_empty()).ok_or(Wrong::UnknownKey)?;
        let (body, signature) = (decode(body)?, decode(signature)?);
        Ok(Self { algorithm, key_id, signed, body, signature })
    }

    /// Whether a set has the key that the token names.
    pub fn is_known(&self, keys: &KeySet) -> bool {
        keys.find(&self.key_id).is_some()
    }

    /// What the token says, if one of these keys signed it.
    pub fn verify(&self, keys: &KeySet) -> Result<Claims, Wrong> {
        claims(self.signed_body(keys)?)
    }

    /// What a workload's token says, if one of these keys signed it.
    pub fn verify_workload(&self, keys: &KeySet) -> Result<WorkloadClaims, Wrong> {
        workload_claims(self.signed_body(keys)?)
    }

    fn signed_body(&self, keys: &KeySet) -> Result<Body, Wrong> {
        let key = keys.find(&self.key_id).ok_or(Wrong::UnknownKey)?;
        key.check(self.algorithm, self.signed.as_bytes(), &self.signature)?;
        serde_json::from_slice(&self.body).map_err(|_| Wrong::Malformed("the claims do not read"))
    }
}

/// A text that has to be there.
fn text(name: &'static str, value: Option<String>) -> Result<String, Wrong> {
    value.filter(|text| !text.is_empty()).ok_or(Wrong::Claim(name))
}

/// A time that has to be there.
fn time(name: &'static str, value: Option<serde_json::Number>) -> Result<i64, Wrong> {
    value.and_then(|number| number.as_i64()).ok_or(Wrong::Claim(name))
}

/// A time that need not be there.
fn time_if_any(
    name: &'static str,
    value: Option<serde_json::Number>,
) -> Result<Option<i64>, Wrong> {
    value.map(|number| time(name, Some(number))).transpose()
}

/// The audience is read, and nothing in its stead: the authorized party tells who asked for a token, not for whom it is.
fn workload_claims(body: Body) -> Result<WorkloadClaims, Wrong> {
    let audience = match body.aud {
        Some(OneOrMany::One(one)) => Some(one),
        Some(OneOrMany::Many(many)) => <[String; 1]>::try_from(many).ok().map(|[one]| one),
        None => None,
    };
    let begins = [time_if_any("iat", body.iat)?, time_if_any("nbf", body.nbf)?];
    Ok(WorkloadClaims {
        issuer: body.iss,
        subject: text("sub", body.sub)?,
        audience: text("aud", audience)?,
        begins_s: begins.into_iter().flatten().max().unwrap_or_default(),
        expires_s: time("exp", body.exp)?,
    })
}

fn claims(body: Body) -> Result<Claims, Wrong> {
    let mut audiences = match body.aud {
        None => return Err(Wrong::Claim("aud")),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    };
    // The authorized party replaces the audience; without it, there is one audience.
    let client = match (body.azp, audiences.pop(), audiences.is_empty()) {
        (Some(party), Some(_), _) => text("azp", Some(party))?,
        (None, Some(one), true) => text("aud", Some(one))?,
        _ => return Err(Wrong::Claim("aud")),
    };
    Ok(Claims {
        issuer: text("iss", body.iss)?,
        subject: text("sub", body.sub)?,
        client,
        issued_s: time("iat", body.iat)?,
        expires_s: time("exp", body.exp)?,
        not_before_s: time_if_any("nbf", body.nbf)?,
    })
}

/// The SHA-1 of a certificate in small hexadecimal digits, by which providers pin one. [src: ALIBABA.md 4.3]
pub fn fingerprint(certificate: &[u8]) -> String {
    use sha1::Digest as _;
    let digest = sha1::Sha1::digest(certificate);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys that an issuer publishes.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<(String, Key)>);

#[derive(Clone, Debug)]
enum Key {
    Rsa { n: Vec<u8>, e: Vec<u8>, only: Option<Algorithm> },
    P256(Vec<u8>),
    P384(Vec<u8>),
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set; keys that are for something else, or of a kind that is not taken, are left out.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let published: Published = serde_json::from_slice(text).ok()?;
        let keys = published.keys.into_iter().take(KEYS);
        let read = |value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            Some((jwk.kid.clone(), key(&jwk)?))
        };
        Some(Self(keys.filter_map(read).collect()))
    }

    /// A key that alone has this id.
    fn find(&self, id: &str) -> Option<&Key> {
        let mut found = self.0.iter().filter(|(known, _)| known == id);
        let (_, key) = found.next()?;
        found.next().is_none().then_some(key)
    }
}

fn key(jwk: &Jwk) -> Option<Key> {
    // SPIFFE's bundles mark the keys of tokens with a name of their own.
    if jwk.usage.as_deref().is_some_and(|usage| !matches!(usage, "sig" | "jwt-svid")) {
        return None;
    }
    let bytes = |text: &Option<String>| BASE64.decode(text.as_deref()?).ok();
    let only = match jwk.alg.as_deref() {
        None => None,
        Some(name) => Some(Algorithm::of(name)?),
    };
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", None) => {
            let (n, e) = (bytes(&jwk.n)?, bytes(&jwk.e)?);
            let n: Vec<u8> = n.into_iter().skip_while(|b| *b == 0).collect();
            (n.len() >= RSA_SIZE).then_some(Key::Rsa { n, e, only })
        }
        ("EC", Some(curve)) => {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            let point = |size: usize| {
                (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
            };
            match (curve, only) {
                ("P-256", None | Some(Algorithm::Es256)) => point(32).map(Key::P256),
                ("P-384", None | Some(Algorithm::Es384)) => point(48).map(Key::P384),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Key {
    /// The key tells which algorithm can be right; the token's must be that.
    fn check(&self, algorithm: Algorithm, signed: &[u8], given: &[u8]) -> Result<(), Wrong> {
        let done = match (self, algorithm) {
            (Self::Rsa { only: Some(only), .. }, used) if *only != used => {
                return Err(Wrong::Signature);
            }
            (Self::Rsa { n, e, .. }, _) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Es256 | Algorithm::Es384 => return Err(Wrong::Signature),
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, given)
            }
            (Self::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(signed, given)
            }
            (Self::P384(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(signed, given)
            }
            _ => return Err(Wrong::Signature),
        };
        done.map_err(|_| Wrong::Signature)
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )]
    //! What is taken, and everything that is not. Keys are made here.

    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::{Value, json};

    struct Issuer {
        key: EcdsaKeyPair,
    }

    impl Issuer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Self { key: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap() }
        }

        fn jwk(&self, id: &str) -> Value {
            let (x, y) = self.key.public_key().as_ref().split_at(1).1.split_at(32);
            json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256",
                   "x": BASE64.encode(x), "y": BASE64.encode(y)})
        }

        fn sign(&self, header: &str, body: &str) -> String {
            let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(body));
            let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", BASE64.encode(signature))
        }
    }

    fn keys(list: &[Value]) -> KeySet {
        KeySet::parse(json!({"keys": list}).to_string().as_bytes()).unwrap()
    }

    fn body() -> Value {
        json!({"iss": "https://id.example.com", "sub": "s1", "aud": "client", "iat": 10, "exp": 20})
    }

    const HEADER: &str =
        r#"{"alg":"ES256","kid":"k1","typ":"JWT","jku":"https://evil.example.com"}"#;

    fn read(text: &str, keys: &KeySet) -> Result<Claims, Wrong> {
        Token::parse(text)?.verify(keys)
    }

    #[test]
    fn a_token_of_a_published_key_is_read() {
        let issuer = Issuer::new();
        let set =
            keys(&[Issuer::new().jwk("k0"), issuer.jwk("k1"), json!({"kty": "oct", "kid": "k1x"})]);
        let expected = Claims {
            issuer: "https://id.example.com".to_owned(),
            subject: "s1".to_owned(),
            client: "client".to_owned(),
            issued_s: 10,
            expires_s: 20,
            not_before_s: None,
        };
        assert_eq!(read(&issuer.sign(HEADER, &body().to_string()), &set), Ok(expected.clone()));
        for (more, client, not_before_s) in [
            (json!({"aud": ["client"]}), "client", None),
            (json!({"aud": ["a", "b"], "azp": "b"}), "b", None),
            (json!({"azp": "other", "nbf": 5}), "other", Some(5)),
            (json!({"unknown": {"a": [1]}}), "client", None),
        ] {
            let mut all = body();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let claims = read(&issuer.sign(HEADER, &all.to_string()), &set);
            let client = client.to_owned();
            assert_eq!(claims, Ok(Claims { client, not_before_s, ..expected.clone() }), "{all}");
        }
    }

    #[test]
    fn atk_e04_a_forged_token_is_refused() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let set = keys(&[issuer.jwk("k1")]);
        let good = issuer.sign(HEADER, &body().to_string());
        assert!(read(&good, &set).is_ok(), "positive control");
        let parts: Vec<&str> = good.split('.').collect();
        let [header, body_part, signature] = parts.as_slice() else { panic!("three parts") };
        let with_header = |text: &str| format!("{}.{body_part}.{signature}", BASE64.encode(text));
        // Another key, also when the token brings it along; another body; no or half a signature.
        let evil = body().to_string().replace("s1", "s2");
        for text in [
            other.sign(HEADER, &body().to_string()),
            other.sign(
                &json!({"alg": "ES256", "kid": "k1", "jwk": other.jwk("k1")}).to_string(),
                &body().to_string(),
            ),
            format!("{header}.{}.{signature}", BASE64.encode(evil)),
            format!("{header}.{body_part}."),
            format!("{header}.{body_part}.{}", signature.get(..40).unwrap()),
            // The curve's signatures of another form: ASN.1 instead of two numbers.
            format!("{header}.{body_part}.{}", BASE64.encode([0x30, 6, 2, 1, 1, 2, 1, 1])),
            format!("{header}.{body_part}.{}", BASE64.encode([0; 64])),
        ] {
            assert_eq!(read(&text, &set), Err(Wrong::Signature), "{text}");
        }
        // Algorithms that a header asks for and nobody grants.
        for name in
            ["none", "None", "NONE", "HS256", "HS512", "PS256", "ES512", "EdDSA", "", "es256"]
        {
            let text = with_header(&json!({"alg": name, "kid": "k1"}).to_string());
            assert!(matches!(read(&text, &set), Err(Wrong::Malformed(_))), "{name}");
        }
        for name in ["RS256", "ES384"] {
            let text =
                issuer.sign(&json!({"alg": name, "kid": "k1"}).to_string(), &body().to_string());
            assert_eq!(
                read(&text, &set),
                Err(Wrong::Signature),
                "{name}: the key tells the algorithm"
            );
        }
        // Which key: by its id and no other way.
        for kid in [json!("k2"), json!(""), json!("K1"), json!(null)] {
            let text =
                issuer.sign(&json!({"alg": "ES256", "kid": kid}).to_string(), &body().to_string());
            assert_eq!(read(&text, &set), Err(Wrong::UnknownKey), "{kid}");
        }
        let twice = keys(&[issuer.jwk("k1"), other.jwk("k1")]);
        assert_eq!(read(&good, &twice), Err(Wrong::UnknownKey), "an id of two keys is no id");
        assert_eq!(read(&good, &KeySet::default()), Err(Wrong::UnknownKey));
    }

    #[test]
    fn atk_e04_what_does_not_read_one_way_only_is_refused() {
        let issuer = Issuer::new();
        let set = keys(&[issuer.jwk("k1")]);
        let good = issuer.sign(HEADER, &body().to_string());
        for text in [
            String::new(),
            "..".to_owned(),
            "a.b".to_owned(),
            format!("{good}.x"),
            format!("{good}="),
            format!(" {good}"),
            good.replace('.', "+."),
            "x".repeat(20_001),
            issuer.sign(r#"{"alg":"ES256","kid":"k1","crit":["b64"]}"#, &body().to_string()),
            issuer.sign(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, &body().to_string()),
            issuer.sign(r#"{"kid":"k1"}"#, &body().to_string()),
            issuer.sign("[]", &body().to_string()),
            issuer.sign(HEADER, "no json"),
            issuer.sign(HEADER, r#"{"sub":"a","sub":"b","iss":"i","aud":"c","iat":1,"exp":2}"#),
            issuer.sign(HEADER, r#"{"sub":1,"iss":"i","aud":"c","iat":1,"exp":2}"#),
        ] {
            assert!(matches!(read(&text, &set), Err(Wrong::Malformed(_))), "{text}");
        }
        for (name, value) in [
            ("iss", json!(null)),
            ("iss", json!("")),
            ("sub", json!(null)),
            ("sub", json!("")),
            ("aud", json!(null)),
            ("aud", json!([])),
            ("aud", json!(["a", "b"])),
            ("aud", json!("")),
            ("azp", json!("")),
            ("iat", json!(null)),
            ("iat", json!(1.5)),
            ("exp", json!(null)),
            ("exp", json!(1e40)),
            ("nbf", json!(1.5)),
        ] {
            let mut all = body();
            all[name] = value;
            let text = issuer.sign(HEADER, &all.to_string());
            assert_eq!(read(&text, &set), Err(Wrong::Claim(name)), "{all}");
        }
    }

    #[test]
    fn atk_e06_a_workloads_token_has_one_audience_and_an_end() {
        let issuer = Issuer::new();
        let mut published = issuer.jwk("k1");
        published["use"] = json!("jwt-svid");
        let set = keys(&[published]);
        let read = |more: Value| {
            let mut all = body();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            let token = issuer.sign(HEADER, &all.to_string());
            Token::parse(&token)?.verify_workload(&set)
        };
        let expected = WorkloadClaims {
            issuer: Some("https://id.example.com".to_owned()),
            subject: "s1".to_owned(),
            audience: "client".to_owned(),
            begins_s: 10,
            expires_s: 20,
        };
        assert_eq!(read(json!({})), Ok(expected.clone()));
        // The authorized party is not for whom a token is.
        assert_eq!(read(json!({"azp": "other"})), Ok(expected.clone()));
        for (more, issuer, begins_s) in [
            (json!({"aud": ["client"], "iss": null}), None, 10),
            (json!({"iat": null}), expected.issuer.as_deref(), 0),
            (json!({"nbf": 15}), expected.issuer.as_deref(), 15),
        ] {
            let issuer = issuer.map(str::to_owned);
            assert_eq!(read(more), Ok(WorkloadClaims { issuer, begins_s, ..expected.clone() }));
        }
        for (more, name) in [
            (json!({"aud": null}), "aud"),
            (json!({"aud": ""}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": ["client", "other"]}), "aud"),
            (json!({"aud": ["other"], "azp": "client", "sub": ""}), "sub"),
            (json!({"sub": null}), "sub"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": 20.5}), "exp"),
            (json!({"nbf": -1.5}), "nbf"),
        ] {
            assert_eq!(read(more.clone()), Err(Wrong::Claim(name)), "{more}");
        }
        for more in [json!({"exp": "20"}), json!({"aud": 1}), json!({"iss": 1})] {
            assert!(matches!(read(more), Err(Wrong::Malformed(_))));
        }
        let token = issuer.sign(HEADER, &body().to_string());
        let other = keys(&[Issuer::new().jwk("k1")]);
        let read = Token::parse(&token).unwrap().verify_workload(&other);
        assert_eq!(read, Err(Wrong::Signature));
    }

    #[test]
    fn keys_for_something_else_are_no_keys() {
        let issuer = Issuer::new();
        let good = issuer.sign(HEADER, &body().to_string());
        for (name, value) in [
            ("use", json!("enc")),
            ("alg", json!("ES384")),
            ("alg", json!("RS256")),
            ("alg", json!("none")),
            ("crv", json!("P-384")),
            ("crv", json!("secp256k1")),
            ("kty", json!("RSA")),
            ("kty", json!("oct")),
            ("x", json!("AAAA")),
            ("x", json!(null)),
            ("y", json!("!")),
            ("kid", json!(7)),
        ] {
            let mut jwk = issuer.jwk("k1");
            jwk[name] = value.clone();
            assert_eq!(read(&good, &keys(&[jwk])), Err(Wrong::UnknownKey), "{name} {value}");
        }
        let small =
            json!({"kty": "RSA", "kid": "k1", "n": BASE64.encode([0xff; 128]), "e": "AQAB"});
        assert_eq!(read(&good, &keys(&[small])), Err(Wrong::UnknownKey), "1024 bits are too few");
        for text in ["", "[]", "{}", r#"{"keys": {}}"#] {
            assert!(KeySet::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
