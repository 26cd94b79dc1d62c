//! The documents are held to the source: tables, links, snippets, policies, texts of errors, names of tests.

#![expect(clippy::unwrap_used, reason = "a test ends where a document has not the shape that it expects")]

mod pages;
mod policies;
mod snippets;
mod tables;
