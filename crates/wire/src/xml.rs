//! Writing XML answers: elements into one buffer, text always escaped.

/// An XML text being written.
pub struct Xml(String);

impl Xml {
    /// Begins with a root element and its namespace.
    pub fn root(name: &str, namespace: &str) -> Self {
        Self(format!("<{name} xmlns=\"{namespace}\">"))
    }

    /// Begins without a root element.
    pub fn fragment() -> Self {
        Self(String::new())
    }

    /// The fragment as a document of its own.
    pub fn document(self) -> Vec<u8> {
        let mut text = String::from("<?xml version='1.0' encoding='UTF-8'?>");
        text.push_str(&self.0);
        text.into_bytes()
    }

    /// Puts a fragment in place.
    pub fn append(&mut self, fragment: Self) {
        self.0.push_str(&fragment.0);
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Closes an element.
    pub fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element that holds text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, &mut self.0);
        self.close(name);
    }

    /// An element that holds text, if there is any to hold.
    pub fn some(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element whose content `inner` writes.
    pub fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.open(name);
        inner(self);
        self.close(name);
    }

    /// A list: an element with one `member` for each item.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.within(name, |x| {
            for item in items {
                x.within("member", |x| each(x, item));
            }
        });
    }

    /// Closes the root element and hands out the bytes.
    pub fn finish(mut self, root: &str) -> Vec<u8> {
        self.close(root);
        self.0.into_bytes()
    }
}

/// Escapes text. A character that XML cannot hold becomes the replacement character, so that an
/// answer is well-formed whatever is stored.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                out.push(c);
            }
            _ => out.push('\u{fffd}'),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn atk_b13_markup_and_illegal_characters_stay_text() {
        let mut x = Xml::root("R", "n");
        x.text("T", "]]><a>&\u{0}\u{1b}'\"\r\n");
        let text = String::from_utf8(x.finish("R")).unwrap();
        assert_eq!(
            text,
            "<R xmlns=\"n\"><T>]]&gt;&lt;a&gt;&amp;\u{fffd}\u{fffd}&#39;&quot;&#13;\n</T></R>"
        );
    }
}
