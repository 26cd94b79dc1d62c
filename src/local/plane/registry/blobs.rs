//! Blobs, read: whole or a range of them, from their file to the socket.

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio_util::io::ReaderStream;

use super::refusal::Refusal;
use super::store::Store;
use super::{CONTENT_DIGEST, ascii, digest_of_path};

/// How much is read from a file at once.
const PIECE: usize = 256 * 1024;

/// HEAD and GET.
///
/// # Errors
/// BLOB_UNKNOWN, RANGE_INVALID, or the file system's.
pub async fn read(
    store: &Store,
    method: &Method,
    name: &str,
    digest: &str,
    asked: &HeaderMap,
) -> Result<Response, Refusal> {
    let digest = digest_of_path(digest)?;
    let size = store.blob_size(name, &digest).await?;
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(|text| range(text, size));
    let (status, first, length) = match range {
        None => (StatusCode::OK, 0, size),
        Some(Ok((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Some(Err(())) => {
            let sentence = format!("the blob has {size} bytes");
            return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", sentence)
                .with(header::CONTENT_RANGE, ascii(&format!("bytes */{size}"))));
        }
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let storage = |error| Refusal::storage(&error);
        let mut file = tokio::fs::File::open(store.blob(&digest)).await.map_err(storage)?;
        file.seek(SeekFrom::Start(first)).await.map_err(storage)?;
        Body::from_stream(ReaderStream::with_capacity(file.take(length), PIECE))
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, ascii(&format!("\"{digest}\"")));
    headers.insert(CONTENT_DIGEST, ascii(digest.as_str()));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + length - 1;
        headers.insert(header::CONTENT_RANGE, ascii(&format!("bytes {first}-{last}/{size}")));
    }
    Ok(answer)
}

/// The first and last byte that a Range header asks for. `None` when it is not one range of bytes, which means the
/// whole (RFC 9110, 14.2); an error when it lies outside.
fn range(header: &str, size: u64) -> Option<Result<(u64, u64), ()>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let end = size.checked_sub(1);
    let range = match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), Some(last)) if first <= last => end.filter(|&end| first <= end).map(|end| (first, last.min(end))),
        (Some(first), None) if last.is_empty() => end.filter(|&end| first <= end).map(|end| (first, end)),
        (None, Some(count)) if first.is_empty() => {
            end.filter(|_| count > 0).map(|end| (size.saturating_sub(count), end))
        }
        _ => return None,
    };
    Some(range.ok_or(()))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_inclusive_and_cut_at_the_end() {
        let cases = [
            ("bytes=0-0", Some(Ok((0, 0)))),
            ("bytes=2-99", Some(Ok((2, 9)))),
            ("bytes=4-", Some(Ok((4, 9)))),
            ("bytes=-3", Some(Ok((7, 9)))),
            ("bytes=-30", Some(Ok((0, 9)))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("lines=1-2", None),
        ];
        for (header, expected) in cases {
            assert_eq!(range(header, 10), expected, "{header}");
        }
        assert_eq!(range("bytes=0-", 0), Some(Err(())));
    }
}
