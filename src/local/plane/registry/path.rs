//! Paths of the distribution API, read: repository names have any number of parts, so the end of a path decides.

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `/v2/`: whether we are one, and whether the login is good.
    Base,
    /// All repositories.
    Catalog,
    /// A manifest by tag or digest.
    Manifest { name: &'a str, reference: &'a str },
    /// A blob by digest.
    Blob { name: &'a str, digest: &'a str },
    /// Where uploads begin.
    Uploads { name: &'a str },
    /// An upload that was begun.
    Upload { name: &'a str, id: &'a str },
    /// A repository's tags.
    Tags { name: &'a str },
}

/// Reads a path; `None` is a path that the API does not have.
pub fn resource(path: &str) -> Option<Resource<'_>> {
    let rest = path.strip_prefix("/v2")?;
    match rest {
        "" | "/" => return Some(Resource::Base),
        "/_catalog" => return Some(Resource::Catalog),
        _ => {}
    }
    let rest = rest.strip_prefix('/')?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some(Resource::Tags { name });
    }
    let uploads = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(name) = uploads.strip_suffix("/blobs/uploads") {
        return Some(Resource::Uploads { name });
    }
    let (front, last) = rest.rsplit_once('/')?;
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        Some(Resource::Upload { name, id: last })
    } else if let Some(name) = front.strip_suffix("/blobs") {
        Some(Resource::Blob { name, digest: last })
    } else {
        Some(Resource::Manifest { name: front.strip_suffix("/manifests")?, reference: last })
    }
}

/// Whether a repository may have this name (distribution's reference grammar).
pub fn is_repository_name(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let part = |text: &str| edge(text.as_bytes().first()) && edge(text.as_bytes().last()) && text.bytes().all(legal);
    name.len() <= 256 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_tells_the_name_from_the_rest() {
        let cases = [
            ("/v2", Some(Resource::Base)),
            ("/v2/", Some(Resource::Base)),
            ("/v2/_catalog", Some(Resource::Catalog)),
            ("/v2/team/shop/tags/list", Some(Resource::Tags { name: "team/shop" })),
            ("/v2/shop/blobs/uploads/", Some(Resource::Uploads { name: "shop" })),
            ("/v2/shop/blobs/uploads", Some(Resource::Uploads { name: "shop" })),
            ("/v2/a/b/blobs/uploads/7", Some(Resource::Upload { name: "a/b", id: "7" })),
            ("/v2/a/b/blobs/sha256:0", Some(Resource::Blob { name: "a/b", digest: "sha256:0" })),
            ("/v2/blobs/manifests/1.0", Some(Resource::Manifest { name: "blobs", reference: "1.0" })),
            ("/v2/shop/referrers/sha256:0", None),
            ("/v1/search", None),
            ("/v2/shop", None),
        ];
        for (path, expected) in cases {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn repository_names_are_lower_case_words() {
        assert!(["shop", "team/shop", "a/b/c_d.e-f"].into_iter().all(is_repository_name));
        assert!(!["", "Shop", "a//b", "../etc", "-a", "a/", "a b"].into_iter().any(is_repository_name));
    }
}
