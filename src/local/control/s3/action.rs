//! Which operation of S3 a request asks for (API reference: each operation's request syntax).

use http::Method;

/// The operation's name, and what it is about, as `bucket/key` in the request's own encoding. `query` is the request's, taken apart.
pub(in crate::local::control) fn action(
    method: &Method,
    path: &str,
    query: &[(String, String)],
) -> (&'static str, Option<String>) {
    let asks = |name: &str| query.iter().any(|(known, _)| known == name);
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let action = match (method.as_str(), bucket, key) {
        (_, "", _) => "ListBuckets",
        ("PUT", _, "") => "CreateBucket",
        ("DELETE", _, "") => "DeleteBucket",
        ("HEAD", _, "") => "HeadBucket",
        ("POST", _, "") => "DeleteObjects",
        (_, _, "") if asks("location") => "GetBucketLocation",
        (_, _, "") => "ListObjectsV2",
        ("PUT", ..) if asks("partNumber") => "UploadPart",
        ("PUT", ..) => "PutObject",
        ("DELETE", ..) if asks("uploadId") => "AbortMultipartUpload",
        ("DELETE", ..) => "DeleteObject",
        ("POST", ..) if asks("uploads") => "CreateMultipartUpload",
        ("POST", ..) => "CompleteMultipartUpload",
        ("HEAD", ..) => "HeadObject",
        _ => "GetObject",
    };
    (action, (!path.is_empty()).then(|| path.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_told_by_method_path_and_query() {
        let told = |method: Method, path: &str, query: &[&str]| {
            let query: Vec<_> = query.iter().map(|name| ((*name).to_owned(), String::new())).collect();
            action(&method, path, &query)
        };
        assert_eq!(told(Method::GET, "/", &["x-id"]), ("ListBuckets", None));
        assert_eq!(told(Method::PUT, "/b/shop/1.zip", &["x-id"]), ("PutObject", Some("b/shop/1.zip".into())));
        assert_eq!(told(Method::PUT, "/b", &[]), ("CreateBucket", Some("b".into())));
        assert_eq!(told(Method::PUT, "/b/k", &["partNumber", "uploadId"]).0, "UploadPart");
        assert_eq!(told(Method::GET, "/b/", &["list-type"]), ("ListObjectsV2", Some("b".into())));
        assert_eq!(told(Method::HEAD, "/b/k", &[]).0, "HeadObject");
    }
}
