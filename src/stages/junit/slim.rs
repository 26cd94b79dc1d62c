//! [`Slim`]: XML without what no test report needs, and with a bound on every piece of it.

use std::io::{self, BufRead, Read};

/// Bytes of a text between two tags that are passed on, and of a CDATA section.
const LONGEST_TEXT: usize = 64 << 10;

/// Bytes of a tag that are passed on; attributes after them are left out.
const LONGEST_TAG: usize = 64 << 10;

/// Bytes of an attribute's value that are passed on.
const LONGEST_VALUE: usize = 16 << 10;

const CDATA: &[u8] = b"![CDATA[";

/// Passes XML on without comments, processing instructions and document types, so that no entity is ever declared, and
/// cuts texts, tags and values that are too long. Whoever parses it holds one bounded piece at a time, whatever a test
/// has printed into its report.
pub(super) struct Slim<R> {
    from: R,
    place: Place,
    /// Bytes passed on of the text, section or tag that is being read.
    kept: usize,
    out: Vec<u8>,
    read: usize,
}

/// Where in the document the next byte is.
enum Place {
    Text,
    /// After `<`; what follows it decides.
    Opening(Vec<u8>),
    /// In a comment, after so many dashes.
    Comment(usize),
    /// In a CDATA section, after so many closing brackets that are not passed on yet.
    CData(usize),
    /// Whether the last byte was `?`.
    Instruction(bool),
    /// In a document type; whether in its internal subset.
    DocumentType(bool),
    /// Whether the last byte was `/`.
    Tag(bool),
    /// In a value that ends with this quote, of which so many bytes were passed on; `None` when all of it is left out.
    Value(u8, Option<usize>),
}

impl<R> Slim<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, place: Place::Text, kept: 0, out: Vec::new(), read: 0 }
    }

    fn take(&mut self, byte: u8) {
        self.place = match std::mem::replace(&mut self.place, Place::Text) {
            Place::Text if byte == b'<' => Place::Opening(Vec::new()),
            Place::Text => {
                self.keep(byte, LONGEST_TEXT);
                Place::Text
            }
            Place::Opening(so_far) => self.opening(so_far, byte),
            Place::Comment(2..) if byte == b'>' => Place::Text,
            Place::Comment(dashes) => Place::Comment(if byte == b'-' { dashes + 1 } else { 0 }),
            Place::CData(brackets) => self.section(brackets, byte),
            Place::Instruction(true) if byte == b'>' => Place::Text,
            Place::Instruction(_) => Place::Instruction(byte == b'?'),
            Place::DocumentType(false) if byte == b'>' => Place::Text,
            Place::DocumentType(inside) => Place::DocumentType(byte == b'[' || inside && byte != b']'),
            Place::Tag(slash) => self.tag(slash, byte),
            Place::Value(quote, kept) => self.value(quote, kept, byte),
        };
    }

    fn keep(&mut self, byte: u8, most: usize) {
        if self.kept < most {
            self.out.push(byte);
            self.kept += 1;
        }
    }

    fn opening(&mut self, mut so_far: Vec<u8>, byte: u8) -> Place {
        so_far.push(byte);
        match so_far.as_slice() {
            b"!--" => Place::Comment(0),
            CDATA => {
                self.out.push(b'<');
                self.out.extend_from_slice(CDATA);
                self.kept = 0;
                Place::CData(0)
            }
            b"?" => Place::Instruction(false),
            begun if b"!--".starts_with(begun) || CDATA.starts_with(begun) => Place::Opening(so_far),
            [b'!', rest @ ..] => match rest.last() {
                Some(b'>') => Place::Text,
                last => Place::DocumentType(last == Some(&b'[')),
            },
            _ => {
                self.out.push(b'<');
                self.kept = 0;
                self.tag(false, byte)
            }
        }
    }

    fn section(&mut self, brackets: usize, byte: u8) -> Place {
        match byte {
            b']' if brackets < LONGEST_TEXT => return Place::CData(brackets + 1),
            b'>' if brackets >= 2 => {
                (2..brackets).for_each(|_| self.keep(b']', LONGEST_TEXT));
                self.out.extend_from_slice(b"]]>");
                self.kept = 0;
                return Place::Text;
            }
            _ => {}
        }
        (0..brackets).for_each(|_| self.keep(b']', LONGEST_TEXT));
        self.keep(byte, LONGEST_TEXT);
        Place::CData(0)
    }

    fn tag(&mut self, slash: bool, byte: u8) -> Place {
        match byte {
            b'>' => {
                // Left out with the attributes before it, it would turn an empty element into an open one.
                if slash && self.kept >= LONGEST_TAG {
                    self.out.push(b'/');
                }
                self.out.push(b'>');
                self.kept = 0;
                Place::Text
            }
            b'"' | b'\'' if self.kept < LONGEST_TAG => {
                self.keep(byte, LONGEST_TAG);
                Place::Value(byte, Some(0))
            }
            b'"' | b'\'' => Place::Value(byte, None),
            _ => {
                self.keep(byte, LONGEST_TAG);
                Place::Tag(byte == b'/' && self.kept >= LONGEST_TAG)
            }
        }
    }

    fn value(&mut self, quote: u8, kept: Option<usize>, byte: u8) -> Place {
        match kept {
            Some(_) if byte == quote => {
                self.out.push(quote);
                self.kept += 1;
                Place::Tag(false)
            }
            None if byte == quote => Place::Tag(false),
            Some(kept) if kept < LONGEST_VALUE => {
                self.keep(byte, LONGEST_TAG);
                Place::Value(quote, Some(kept + 1))
            }
            kept => Place::Value(quote, kept),
        }
    }
}

impl<R: BufRead> Read for Slim<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Slim<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.out.len() {
            self.out.clear();
            self.read = 0;
            let bytes = match self.from.fill_buf() {
                Ok(bytes) => bytes.to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                break;
            }
            bytes.iter().for_each(|byte| self.take(*byte));
            self.from.consume(bytes.len());
        }
        Ok(&self.out[self.read..])
    }

    fn consume(&mut self, count: usize) {
        self.read = (self.read + count).min(self.out.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slim(xml: &[u8]) -> String {
        let mut whole = Vec::new();
        // A byte at a time: where the pieces end must not matter.
        Slim::new(io::BufReader::with_capacity(1, xml)).read_to_end(&mut whole).unwrap();
        let mut at_once = Vec::new();
        Slim::new(xml).read_to_end(&mut at_once).unwrap();
        assert_eq!(whole, at_once);
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn what_no_report_needs_is_left_out() {
        let xml = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b \"<c>\"><!ENTITY % d '&b;&b;'>]><a><!-- - -- > <x> --->\
                   1<b c='>' d=\"'/>\"/><![CDATA[ ]]]]]><![CDATA[<!-- ]] > -->]]>2</a><!d><!-x><!>3";
        assert_eq!(slim(xml.as_bytes()), "<a>1<b c='>' d=\"'/>\"/><![CDATA[ ]]]]]><![CDATA[<!-- ]] > -->]]>2</a>3");
    }

    #[test]
    fn every_piece_is_bounded() {
        let long = "x".repeat(1 << 20);
        let pieces = [
            (format!("<a>{long}</a>"), LONGEST_TEXT, "</a>"),
            (format!("<a><![CDATA[{long}]]]></a>"), LONGEST_TEXT, "]]></a>"),
            (format!("<a><![CDATA[{}x]]></a>", "]".repeat(1 << 20)), LONGEST_TEXT, "]]></a>"),
            (format!("<a b='{long}' c='d'/><e/>"), LONGEST_VALUE, "x' c='d'/><e/>"),
            (format!("<a {}/><e/>", "b='xxxx' ".repeat(1 << 17)), LONGEST_TAG, "/><e/>"),
            (format!("<a{}/><e/>", "\"".repeat(1 << 20)), LONGEST_TAG, "/><e/>"),
            (format!("<a{long}"), LONGEST_TAG, "x"),
            (format!("<!--{long}"), 0, ""),
        ];
        for (xml, most, end) in pieces {
            let passed = slim(xml.as_bytes());
            assert!(passed.len() <= most + 64 && passed.ends_with(end), "{} {}", passed.len(), &xml[..20]);
        }
    }
}
