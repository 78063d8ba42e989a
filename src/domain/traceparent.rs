//! W3C's name of a span elsewhere: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.

/// A span elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace that it is of.
    pub trace: [u8; 16],
    /// It.
    pub span: [u8; 8],
    /// The flags of the trace: the lowest says that it is recorded.
    pub flags: u8,
}

impl TraceParent {
    /// What a `traceparent` names; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version] = bytes(parts.next()?)?;
        let it =
            Self { trace: bytes(parts.next()?)?, span: bytes(parts.next()?)?, flags: byte(parts.next()?)? };
        // A later version may say more; the last one will never be.
        let is_whole = parts.next().is_none() || (1..u8::MAX).contains(&version);
        let is_named = it.trace != [0; 16] && it.span != [0; 8];
        (is_whole && is_named && version != u8::MAX).then_some(it)
    }
}

fn byte(text: &str) -> Option<u8> {
    bytes(text).map(|[byte]| byte)
}

/// As many bytes as are asked for, of two digits in lower case each.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_of_digits = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 2 * N || !is_of_digits {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_span_is_named_by_its_trace_itself_and_flags() {
        let it = TraceParent::parse(WHOLE).expect("whole");
        assert_eq!(
            (it.trace[0], it.trace[15], it.span, it.flags),
            (0x4b, 0x36, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7], 1)
        );
        assert_eq!(
            TraceParent::parse(&format!("cc{}-more", &WHOLE[2..])),
            Some(it),
            "a later version says more"
        );
    }

    #[test]
    fn what_names_no_span_is_none() {
        for broken in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(broken), None, "{broken}");
        }
    }
}
