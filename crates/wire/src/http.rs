//! Plain values for one HTTP request and its answer, and the one strict decoder of forms.
//!
//! Holds what a dialect needs to decode and encode. It opens no socket, reads no limit but the
//! number of parameters, and knows no operation.

use thiserror::Error;

/// The most parameters one form or query may carry.
pub const PARAMETERS_MAX: usize = 1_000;

/// One request as it arrived, before anything was decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, exactly as sent.
    pub method: String,
    /// The path, raw as sent, without the query.
    pub path: String,
    /// The query, raw as sent, without its `?`.
    pub query: String,
    /// The header lines in the order of arrival; every name is lower-case.
    pub headers: Vec<(String, String)>,
    /// The body, already complete.
    pub body: Vec<u8>,
}

/// One answer, ready to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines; names are constants so that no input can become one.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why the header lines of a request were refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LineError {
    /// A value holds a control character other than a tab, which could end or fold its line.
    #[error("The header '{}' holds a control character.", .0.escape_default())]
    Control(String),
    /// A header that has one value stands more than once.
    #[error("The header '{}' stands more than once in the request.", .0.escape_default())]
    Repeated(String),
}

/// Why a form, a query or a percent-encoded text was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FormError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a `%` is not followed by two hexadecimal digits")]
    BadEscape,
    /// The decoded bytes are not UTF-8 (overlong forms and surrogates included).
    #[error("the decoded text is not valid UTF-8")]
    NotUtf8,
    /// A control character other than tab, line feed and carriage return, or a raw one of any kind.
    #[error("the text holds a control character")]
    Control,
    /// A raw byte beyond ASCII, which every encoder escapes.
    #[error("the text holds an unescaped character beyond ASCII")]
    NotAscii,
    /// A parameter without a name, as in `&&` or `=x`.
    #[error("a parameter has an empty name")]
    EmptyName,
    /// More than [`PARAMETERS_MAX`] parameters.
    #[error("there are more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// A parameter stands in the query and in the body.
    #[error("a parameter stands in both the query string and the body")]
    InQueryAndBody,
}

impl Request {
    /// The value of the header `name`, if exactly one line carries it.
    ///
    /// `None` when there is no such line *and* when there are several: a caller that acts on a
    /// header never picks one of two.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers_named(name);
        let first = values.next()?;
        if values.next().is_some() { None } else { Some(first) }
    }

    /// Every value of the header `name`, in the order of arrival.
    pub fn headers_named<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers
            .iter()
            .filter(move |(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Refuses duplicates of single-valued header lines and characters that end or fold a line.
    ///
    /// `is_single` says of a lower-case name whether it can stand once only; those that every
    /// request has one of are so anyway.
    pub fn check_lines(&self, is_single: fn(&str) -> bool) -> Result<(), LineError> {
        let one = ["authorization", "host", "date", "content-type", "content-length"];
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(LineError::Control(name));
            }
            let single = is_single(&name) || one.contains(&name.as_str());
            if single && !seen.insert(name.clone()) {
                return Err(LineError::Repeated(name));
            }
        }
        Ok(())
    }

    /// Whether the body is a form.
    #[must_use]
    pub fn has_form(&self) -> bool {
        let essence = self.header("content-type").and_then(|t| t.split(';').next());
        essence.is_some_and(|t| t.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    }

    /// The parameters of a form request: those of the body for `POST`, else those of the query.
    ///
    /// A `POST` may have a query too, but no name may stand in both places, whatever its letter
    /// case. Order and duplicates are kept.
    pub fn parameters(&self) -> Result<Vec<(String, String)>, FormError> {
        let in_query = parse_form(&self.query)?;
        if self.method != "POST" {
            return Ok(in_query);
        }
        let text = str::from_utf8(&self.body).map_err(|_| FormError::NotUtf8)?;
        let in_body = parse_form(text)?;
        let names: std::collections::BTreeSet<String> =
            in_query.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        if in_body.iter().any(|(name, _)| names.contains(&name.to_ascii_lowercase())) {
            return Err(FormError::InQueryAndBody);
        }
        Ok(in_body)
    }
}

/// Decodes percent-encoded text and refuses what two decoders could read in two ways.
///
/// Tab, line feed and carriage return pass when they are escaped (policy documents hold them);
/// every other control character is an error, raw or escaped.
pub fn percent_decode_strict(text: &str, plus_is_space: bool) -> Result<String, FormError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = bytes.next().and_then(hex_value).ok_or(FormError::BadEscape)?;
                let low = bytes.next().and_then(hex_value).ok_or(FormError::BadEscape)?;
                decoded.push(high << 4 | low);
            }
            b'+' if plus_is_space => decoded.push(b' '),
            0..=0x1f | 0x7f => return Err(FormError::Control),
            0x80.. => return Err(FormError::NotAscii),
            plain => decoded.push(plain),
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| FormError::NotUtf8)?;
    if decoded.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(FormError::Control);
    }
    Ok(decoded)
}

/// The parameters of a form body or a query, decoded, in order, duplicates kept.
///
/// Only `&` separates. A parameter without `=` has an empty value; one without a name is an error.
pub fn parse_form(text: &str) -> Result<Vec<(String, String)>, FormError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.bytes().filter(|byte| *byte == b'&').count() >= PARAMETERS_MAX {
        return Err(FormError::TooMany);
    }
    text.split('&')
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name.is_empty() {
                return Err(FormError::EmptyName);
            }
            Ok((percent_decode_strict(name, true)?, percent_decode_strict(value, true)?))
        })
        .collect()
}

/// Percent-encodes text: RFC 3986's unreserved characters stay, all else becomes `%XX`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        push_encoded(&mut encoded, byte);
    }
    encoded
}

/// Appends one byte, escaped unless it is unreserved.
pub(crate) fn push_encoded(encoded: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        encoded.push(char::from(byte));
    } else {
        encoded.push('%');
        encoded.push(hex_digit(byte >> 4).to_ascii_uppercase());
        encoded.push(hex_digit(byte & 0xf).to_ascii_uppercase());
    }
}

/// The lower-case hexadecimal digit of the low four bits.
pub(crate) fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble & 0xf), 16).unwrap_or('0')
}

fn hex_value(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
