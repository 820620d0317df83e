//! The two files that pages load, compiled in, each under a name that changes with it.

use std::sync::LazyLock;
use wire::http::Response;

/// A file.
pub struct Asset {
    /// Where it is.
    pub path: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn of(name: &str, end: &str, kind: &'static str, text: &'static str) -> Self {
        let version: String = iam::seal::digest(text).chars().take(12).collect();
        Self { path: format!("/console/assets/{name}-{version}.{end}"), kind, text }
    }
}

/// How pages look.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("style", "css", "text/css; charset=utf-8", include_str!("style.css"))
});
/// What pages do beyond links and forms.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("script", "js", "text/javascript; charset=utf-8", include_str!("script.js"))
});

/// A file, by its exact path; nothing else is looked for.
pub fn answer(path: &str) -> Option<Response> {
    let found = [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.path == path)?;
    Some(Response {
        status: 200,
        headers: vec![
            ("content-type", found.kind.to_owned()),
            ("cache-control", "public, max-age=31536000, immutable".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ],
        body: found.text.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn atk_h21_only_what_is_compiled_in_is_there() {
        let style = STYLE.path.clone();
        assert_eq!(answer(&style).unwrap().status, 200, "the control");
        let climbs = ["../", "..%2f", "%2e%2e/", "..\\", "./", "//", "%00"];
        let wanted = ["style.css", "script.js", "etc/passwd", "master-key", ""];
        for (up, name) in climbs.iter().flat_map(|up| wanted.iter().map(move |name| (up, name))) {
            for depth in 1..8 {
                assert!(answer(&format!("/console/assets/{}{name}", up.repeat(depth))).is_none());
            }
            assert!(answer(&format!("{style}{up}{name}")).is_none());
        }
    }
}
