//! The browser of the end-to-end tests, and what drives it.
//!
//! They come with the system's packages; a browser of one's own is used as it is.

use crate::python::{answers, install_packages};
use std::path::Path;

/// Sees to it that both are there.
pub fn ensure() -> Result<(), String> {
    let is_there = |program: &str| answers(Path::new(program), &["--version"]);
    let has_browser = || is_there("chromium") || is_there("google-chrome");
    if !has_browser() || !is_there("chromedriver") {
        install_packages("chromium with chromedriver", &["chromium", "chromium-driver"])?;
    }
    match has_browser() && is_there("chromedriver") {
        true => Ok(()),
        false => {
            Err("the packages were installed, yet there is no chromium or no chromedriver"
                .to_owned())
        }
    }
}
