//! The text of an element of an AWS answer. Not an XML reader: the server's answers have one
//! element of each name that is asked for here, without attributes.

/// The text of the first element `name` that holds text only; `None` when there is none.
pub fn text(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    if inside.contains('<') { None } else { unescape(inside) }
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('&');
    plain.push_str(parts.next()?);
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn text_is_found_and_unescaped() {
        let xml = "<R><A>x</A><B>&lt;&#39;&#x41;&amp;amp;&gt;</B><C><D>1</D></C></R>";
        assert_eq!(text(xml, "A").as_deref(), Some("x"));
        assert_eq!(text(xml, "B").as_deref(), Some("<'A&amp;>"));
        assert_eq!(text(xml, "C"), None);
        assert_eq!(text(xml, "E"), None);
        assert_eq!(text("<A>&bad</A>", "A"), None);
    }
}
