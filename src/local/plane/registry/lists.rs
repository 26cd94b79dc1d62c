//! Lists of tags and repositories, in pages.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ascii;
use super::refusal::Refusal;
use super::store::Store;

/// What part of a list is asked for.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    /// At most so many; all if absent.
    n: Option<String>,
    /// Those after this one.
    last: Option<String>,
}

/// GET `/v2/<name>/tags/list`.
///
/// # Errors
/// NAME_UNKNOWN, PAGINATION_NUMBER_INVALID.
pub fn tags(store: &Store, name: &str, page: &Page) -> Result<Response, Refusal> {
    let state = store.state();
    let tags = state.repository(name)?.tags.keys().map(String::as_str);
    let (tags, more) = cut(tags, page)?;
    let body = json!({ "name": name, "tags": tags });
    Ok(answer(&body, &format!("/v2/{name}/tags/list"), more.then_some(page), tags.last()))
}

/// GET `/v2/_catalog`.
///
/// # Errors
/// PAGINATION_NUMBER_INVALID.
pub fn catalog(store: &Store, page: &Page) -> Result<Response, Refusal> {
    let state = store.state();
    let (names, more) = cut(state.repositories.keys().map(String::as_str), page)?;
    Ok(answer(&json!({ "repositories": names }), "/v2/_catalog", more.then_some(page), names.last()))
}

/// The page of a sorted list, and whether more follows it.
fn cut<'a>(all: impl Iterator<Item = &'a str>, page: &Page) -> Result<(Vec<&'a str>, bool), Refusal> {
    let bad = |_| {
        let sentence = "n is not a number of entries";
        Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", sentence)
    };
    let count = page.n.as_deref().map(str::parse::<usize>).transpose().map_err(bad)?;
    let last = page.last.as_deref().unwrap_or_default();
    let mut left = all.filter(|name| *name > last);
    let shown = left.by_ref().take(count.unwrap_or(usize::MAX)).collect();
    Ok((shown, left.next().is_some()))
}

fn answer(body: &Value, path: &str, more: Option<&Page>, last: Option<&&str>) -> Response {
    let mut answer = Response::new(Body::from(body.to_string()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let (Some(Page { n: Some(n), .. }), Some(last)) = (more, last) {
        answer.headers_mut().insert(header::LINK, ascii(&format!("<{path}?n={n}&last={last}>; rel=\"next\"")));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::{Page, cut};

    #[test]
    fn pages_follow_one_another_without_gap_or_overlap() {
        let all = ["1", "2", "3"];
        let page = |n: Option<&str>, last: Option<&str>| {
            cut(all.into_iter(), &Page { n: n.map(Into::into), last: last.map(Into::into) })
        };
        assert_eq!(page(None, None).unwrap(), (vec!["1", "2", "3"], false));
        assert_eq!(page(Some("2"), None).unwrap(), (vec!["1", "2"], true));
        assert_eq!(page(Some("2"), Some("2")).unwrap(), (vec!["3"], false));
        assert_eq!(page(Some("0"), None).unwrap(), (vec![], true));
        assert_eq!(page(Some("x"), None).unwrap_err().code, "PAGINATION_NUMBER_INVALID");
    }
}
