//! A JSON reader for policy text: positions of everything, no duplicate members, hard limits.
//!
//! It reads one document at most [`BYTES_MAX`] long and [`DEPTH_MAX`] deep, keeps numbers as text, and refuses
//! what readers disagree about: repeated members, a byte-order mark, control characters, numbers beyond range,
//! lone surrogates, text after the end. It writes no JSON but a single string literal.

use std::borrow::Cow;

/// The longest text that is looked at, in bytes; the length is checked before anything is read.
pub const BYTES_MAX: usize = 262_144;

/// The deepest nesting of arrays and objects that is accepted.
pub const DEPTH_MAX: usize = 32;

/// So many members of an object are told apart without a sorted copy of their names.
const NAMES_FEW: usize = 16;

/// A JSON value; it borrows from the text what stands there as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Json<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(&'t str),
    /// A string, its escapes resolved.
    String(Cow<'t, str>),
    /// An array.
    Array(Vec<Node<'t>>),
    /// An object, members in written order; no name occurs twice.
    Object(Vec<Member<'t>>),
}

/// A value and where it stands in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node<'t> {
    /// The value.
    pub value: Json<'t>,
    /// The byte offset of its first byte.
    pub start: usize,
    /// The byte offset after its last byte.
    pub end: usize,
}

/// One member of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member<'t> {
    /// The member's name.
    pub name: Cow<'t, str>,
    /// The byte offset of the name's opening quote.
    pub name_at: usize,
    /// The member's value.
    pub value: Node<'t>,
}

impl Node<'_> {
    /// The value's kind in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

/// Why a text is no acceptable JSON, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonError {
    /// What was found and what was expected.
    pub detail: String,
    /// The byte offset of the trouble.
    pub at: usize,
    /// The JSON pointer of the innermost value being read.
    pub path: String,
}

/// Reads one JSON document.
pub fn read(text: &str) -> Result<Node<'_>, JsonError> {
    read_counted(text).0
}

/// Reads one JSON document and tells how many reading steps that took, for tests of growth.
pub fn read_counted(text: &str) -> (Result<Node<'_>, JsonError>, u64) {
    let mut reader = Reader { text, at: 0, depth: 0, path: None, steps: 0 };
    let result = reader.document();
    if result.is_ok() {
        return (result, reader.steps);
    }
    // Only whoever is refused is told where, so the way there is noted in a second reading.
    let mut again = Reader { text, at: 0, depth: 0, path: Some(Vec::new()), steps: reader.steps };
    (again.document(), again.steps)
}

/// The line and the column, both from 1 and in characters, of a byte offset.
pub fn position(text: &str, at: usize) -> (usize, usize) {
    let mut line = 1;
    let mut column = 1;
    for (offset, c) in text.char_indices() {
        if offset >= at {
            break;
        }
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

/// A text as a JSON string literal with its quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name as one step of a JSON pointer.
pub fn pointer_step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// The steps to the value being read, if they are noted.
    path: Option<Vec<String>>,
    steps: u64,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, at: usize, detail: impl Into<String>) -> Result<T, JsonError> {
        let path = self.path.as_ref().map(|path| path.concat()).unwrap_or_default();
        Err(JsonError { detail: detail.into(), at, path })
    }

    fn enter(&mut self, step: impl FnOnce() -> String) {
        if let Some(path) = &mut self.path {
            path.push(step());
        }
    }

    fn leave(&mut self) {
        if let Some(path) = &mut self.path {
            path.pop();
        }
    }

    fn document(&mut self) -> Result<Node<'a>, JsonError> {
        if self.text.len() > BYTES_MAX {
            let length = self.text.len();
            return self.fail(0, format!("the text has {length} bytes, more than {BYTES_MAX}"));
        }
        if self.text.starts_with('\u{feff}') {
            return self.fail(0, "the text begins with a byte-order mark; save it without one");
        }
        self.blank();
        let node = self.value()?;
        self.blank();
        match self.peek() {
            None => Ok(node),
            Some(_) => self.fail(self.at, "text follows the end of the document; remove it"),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at += 1;
        self.steps += 1;
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn value(&mut self) -> Result<Node<'a>, JsonError> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Reader::object)?,
            Some(b'[') => self.nested(Reader::array)?,
            Some(b'"') => Json::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Json::Number(self.number()?),
            Some(b't') => self.word("true", Json::Bool(true))?,
            Some(b'f') => self.word("false", Json::Bool(false))?,
            Some(b'n') => self.word("null", Json::Null)?,
            Some(_) => return self.fail(start, "expected a JSON value"),
            None => return self.fail(start, "the text ends where a value was expected"),
        };
        Ok(Node { value, start, end: self.at })
    }

    fn nested(
        &mut self,
        read: fn(&mut Reader<'a>) -> Result<Json<'a>, JsonError>,
    ) -> Result<Json<'a>, JsonError> {
        if self.depth >= DEPTH_MAX {
            return self
                .fail(self.at, format!("lists and objects nest deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        self.step();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json<'a>, JsonError> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        self.blank();
        if self.peek() == Some(b'}') {
            self.step();
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            let name_at = self.at;
            if self.peek() != Some(b'"') {
                return self.fail(name_at, "expected a member name in double quotes");
            }
            let name = self.string()?;
            self.enter(|| pointer_step(&name));
            // Few names are compared one by one; of many a sorted copy is kept.
            let known = if members.len() < NAMES_FEW {
                members.iter().any(|member| member.name == name)
            } else {
                if names.is_empty() {
                    names.extend(members.iter().map(|member| member.name.clone()));
                }
                !names.insert(name.clone())
            };
            if known {
                return self.fail(name_at, format!("the member `{name}` occurs twice; keep one"));
            }
            self.blank();
            if self.peek() != Some(b':') {
                return self.fail(self.at, "expected a colon after the member name");
            }
            self.step();
            self.blank();
            let value = self.value()?;
            self.leave();
            members.push(Member { name, name_at, value });
            self.blank();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b'}') => {
                    self.step();
                    return Ok(Json::Object(members));
                }
                _ => return self.fail(self.at, "expected a comma or a closing brace"),
            }
        }
    }

    fn array(&mut self) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        self.blank();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(Json::Array(items));
        }
        loop {
            self.blank();
            self.enter(|| format!("/{}", items.len()));
            items.push(self.value()?);
            self.leave();
            self.blank();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b']') => {
                    self.step();
                    return Ok(Json::Array(items));
                }
                _ => return self.fail(self.at, "expected a comma or a closing bracket"),
            }
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return self.fail(self.at, "expected a JSON value");
        }
        self.at += word.len();
        self.steps += 1;
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        self.at - start
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return self.fail(start, "a number needs digits and no leading zero");
        }
        if self.peek() == Some(b'.') {
            self.step();
            if self.digits() == 0 {
                return self.fail(start, "a number needs digits after its point");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            if self.digits() == 0 {
                return self.fail(start, "a number needs digits in its exponent");
            }
        }
        let text: &'a str = self.text.get(start..self.at).unwrap_or_default();
        // A few digits are in range whatever they are.
        let short = text.len() <= 300 && !text.contains(['e', 'E']);
        if !short && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return self.fail(start, "the number is out of range");
        }
        Ok(text)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.step();
        let mut out = Cow::Borrowed("");
        loop {
            let start = self.at;
            let rest = self.text.as_bytes().get(start..).unwrap_or_default();
            let plain = |b: &u8| *b != b'"' && *b != b'\\' && *b >= 0x20;
            let length = rest.iter().take_while(|b| plain(b)).count();
            self.at += length;
            self.steps += length as u64;
            // Adding to nothing borrows, so only a string with escapes is a copy.
            out += self.text.get(start..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(out);
                }
                Some(b'\\') => out.to_mut().push(self.escape()?),
                Some(_) => return self.fail(self.at, "a string holds a control character"),
                None => return self.fail(self.at, "the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.step();
        let c = self.peek();
        self.step();
        match c {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unicode(start),
            _ => self.fail(start, "a string holds an escape that is not accepted"),
        }
    }

    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hex4(start)?;
        let code = if (0xd800..0xdc00).contains(&first) {
            let tail = self.text.get(self.at..).unwrap_or_default();
            if !tail.starts_with("\\u") {
                return self.fail(start, "a string holds half of a surrogate pair");
            }
            self.at += 2;
            let second = self.hex4(start)?;
            if !(0xdc00..0xe000).contains(&second) {
                return self.fail(start, "a string holds half of a surrogate pair");
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        match char::from_u32(code) {
            Some(c) if code >= 0x20 || matches!(c, '\t' | '\n' | '\r') => Ok(c),
            Some(_) => self.fail(start, "a string holds a control character"),
            None => self.fail(start, "a string holds half of a surrogate pair"),
        }
    }

    fn hex4(&mut self, start: usize) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let valid = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(code) if valid => {
                self.at += 4;
                Ok(code)
            }
            _ => self.fail(start, "an escape needs four hexadecimal digits"),
        }
    }
}
