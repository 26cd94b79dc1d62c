//! The AWS query protocol: a form in, XML out. Beanstalk speaks it, and STS.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

use axum::body::Body;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{Response, StatusCode};
use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::skew;

/// A request's fields: `Action=…&VersionLabels.member.1=…&SourceBundle.S3Bucket=…`.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads an `application/x-www-form-urlencoded` body. What cannot be read is an empty form, which has no `Action`.
    pub fn parse(body: &str) -> Self {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(body).unwrap_or_default();
        Self { fields: pairs.into_iter().collect() }
    }

    /// A field's text; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A field's text as it came, even when it is empty: an option may be set to nothing.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field that the operation cannot do without.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(format!("The request must contain the parameter {name}.")))
    }

    /// A required field whose length in characters is within `length`.
    ///
    /// # Errors
    /// `MissingParameter`, or `InvalidParameterValue` with the constraint.
    pub fn sized(&self, name: &str, length: RangeInclusive<usize>) -> Result<&str, ApiError> {
        self.required(name)?;
        Ok(self.sized_if_given(name, length)?.unwrap_or_default())
    }

    /// An optional field whose length in characters is within `length`.
    ///
    /// # Errors
    /// `InvalidParameterValue` with the constraint.
    pub fn sized_if_given(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&str>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let count = text.chars().count();
        let bound = if count < *length.start() {
            format!("greater than or equal to {}", length.start())
        } else if count > *length.end() {
            format!("less than or equal to {}", length.end())
        } else {
            return Ok(Some(text));
        };
        Err(ApiError::constraint(text, name, &format!("Member must have length {bound}")))
    }

    /// A `true` or `false`; absent is `false`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for another word.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(false),
            Some(word) if word.eq_ignore_ascii_case("true") => Ok(true),
            Some(word) if word.eq_ignore_ascii_case("false") => Ok(false),
            Some(word) => Err(ApiError::constraint(word, name, "Member must be a boolean")),
        }
    }

    /// A number within `range`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for anything else.
    pub fn number(&self, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (low, high) = (range.start(), range.end());
                Err(ApiError::constraint(text, name, &format!("Member must be a number between {low} and {high}")))
            }
        }
    }

    /// A time: ISO 8601.
    ///
    /// # Errors
    /// `InvalidParameterValue` for anything else.
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Some(skew::meant(time.to_utc()))),
            Err(_) => Err(ApiError::constraint(text, name, "Member must be an ISO 8601 time")),
        }
    }

    /// The texts of `name.member.1`, `name.member.2`, … in their order.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{name}.member.");
        let mut found: Vec<(u32, &str)> = Vec::new();
        for (key, value) in &self.fields {
            if let Some(Ok(index)) = key.strip_prefix(&prefix).map(str::parse) {
                found.push((index, value));
            }
        }
        found.sort_unstable_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The structures `name.member.1.*`, `name.member.2.*`, … in their order.
    pub fn structures(&self, name: &str) -> Vec<Form> {
        let prefix = format!("{name}.member.");
        let mut found: BTreeMap<u32, Form> = BTreeMap::new();
        for (key, value) in &self.fields {
            let Some((index, field)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            if let Ok(index) = index.parse() {
                found.entry(index).or_default().fields.insert(field.to_owned(), value.clone());
            }
        }
        found.into_values().collect()
    }
}

/// A refusal, as the service would word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The error code clients match on.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
}

impl ApiError {
    /// A refusal with status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// `InvalidParameterValue`: not found, exists already, wrong state, bad value.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// `MissingParameter`.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new("MissingParameter", message)
    }

    /// A value that breaks a rule of its field, in the frame the service words such refusals.
    pub fn constraint(value: &str, field: &str, rule: &str) -> Self {
        Self::invalid(format!("Value {value} at '{field}' failed to satisfy constraint: {rule}"))
    }

    /// `InternalFailure`, status 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalFailure", message: message.into() }
    }
}

/// One XML element: a text, or elements.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Children(Vec<Element>),
}

/// `<name>text</name>`.
pub fn text(name: &'static str, text: impl ToString) -> Element {
    Element { name, content: Content::Text(text.to_string()) }
}

/// `<name>2026-11-20T10:00:00.000Z</name>`.
pub fn time(name: &'static str, time: DateTime<Utc>) -> Element {
    text(name, skew::told(time).to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// `<name>children</name>`.
pub fn tree(name: &'static str, children: Vec<Element>) -> Element {
    Element { name, content: Content::Children(children) }
}

/// `<name><member>…</member>…</name>`, one member for each list of children.
pub fn members(name: &'static str, items: impl IntoIterator<Item = Vec<Element>>) -> Element {
    tree(name, items.into_iter().map(|children| tree("member", children)).collect())
}

/// `<name><member>text</member>…</name>`.
pub fn words(name: &'static str, items: impl IntoIterator<Item = impl ToString>) -> Element {
    tree(name, items.into_iter().map(|item| text("member", item)).collect())
}

impl Element {
    fn write(&self, out: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let element = out.create_element(self.name);
        match &self.content {
            Content::Text(text) => element.write_text_content(BytesText::new(&printable(text)))?,
            Content::Children(children) if children.is_empty() => element.write_empty()?,
            Content::Children(children) => {
                element.write_inner_content(|out| children.iter().try_for_each(|child| child.write(out)))?
            }
        };
        Ok(())
    }
}

/// XML 1.0 has no control characters but tab and line ends, not even escaped.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).collect()
}

/// What an operation answers: the children of its result element; `None` for operations that have no result element.
pub type Answer = Result<Option<Vec<Element>>, ApiError>;

/// The HTTP response that carries `answer` to `action`.
pub fn response(namespace: &str, action: &str, request_id: &str, answer: &Answer) -> Response<Body> {
    let mut out = Writer::new(Vec::new());
    let (status, written) = match answer {
        Ok(result) => (StatusCode::OK, write_success(&mut out, namespace, action, request_id, result.as_deref())),
        Err(error) => (error.status, write_failure(&mut out, namespace, request_id, error)),
    };
    let mut response = Response::new(match written {
        Ok(()) => Body::from(out.into_inner()),
        Err(error) => Body::from(error.to_string()),
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/xml"));
    if let Ok(id) = http::HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// A response whose connection breaks before the body is there: the operation took effect, its answer is lost.
pub fn lost() -> Response<Body> {
    let broken = futures_util::stream::once(async { Err::<bytes::Bytes, _>(io::Error::other("the answer is lost")) });
    Response::new(Body::from_stream(broken))
}

fn write_success(
    out: &mut Writer<Vec<u8>>,
    namespace: &str,
    action: &str,
    request_id: &str,
    result: Option<&[Element]>,
) -> io::Result<()> {
    let envelope = format!("{action}Response");
    out.create_element(envelope.as_str()).with_attribute(("xmlns", namespace)).write_inner_content(|out| {
        if let Some(children) = result {
            let name = format!("{action}Result");
            out.create_element(name.as_str())
                .write_inner_content(|out| children.iter().try_for_each(|child| child.write(out)))?;
        }
        tree("ResponseMetadata", vec![text("RequestId", request_id)]).write(out)
    })?;
    Ok(())
}

fn write_failure(out: &mut Writer<Vec<u8>>, namespace: &str, request_id: &str, error: &ApiError) -> io::Result<()> {
    let blamed = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    out.create_element("ErrorResponse").with_attribute(("xmlns", namespace)).write_inner_content(|out| {
        let children = vec![text("Type", blamed), text("Code", error.code), text("Message", &error.message)];
        tree("Error", children).write(out)?;
        text("RequestId", request_id).write(out)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structures_come_in_the_order_of_their_numbers() {
        let form = Form::parse(
            "Ids.member.10=c&Ids.member.2=b&Ids.member.1=a&Tags.member.1.Key=k&Tags.member.1.Value=&X=%C3%A9+b",
        );
        assert_eq!(form.list("Ids"), ["a", "b", "c"]);
        let tags = form.structures("Tags");
        assert_eq!((tags.len(), tags[0].text("Key"), tags[0].value("Value")), (1, Some("k"), Some("")));
        assert_eq!(form.text("X"), Some("é b"));
    }

    #[test]
    fn a_field_that_breaks_its_rule_is_refused_in_the_services_words() {
        let form = Form::parse("EnvironmentName=abc&MaxRecords=0&Flag=perhaps&Start=today");
        let error = form.sized("EnvironmentName", 4..=40).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert_eq!(
            error.message,
            "Value abc at 'EnvironmentName' failed to satisfy constraint: Member must have length greater than or equal to 4"
        );
        assert!(form.number("MaxRecords", 1..=1000).is_err() && form.flag("Flag").is_err());
        assert!(form.time("Start").is_err());
        assert_eq!(form.required("Nothing").unwrap_err().code, "MissingParameter");
    }

    #[tokio::test]
    async fn an_operation_without_output_has_no_result_element_and_control_characters_are_left_out() {
        let body = async |answer| {
            let response = response("urn:x", "Do", "id-1", &answer);
            assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
            let bytes = axum::body::to_bytes(response.into_body(), 9999).await.unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        assert_eq!(
            body(Ok(None)).await,
            "<DoResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DoResponse>"
        );
        let children = vec![text("Message", "a<b\u{1b}[0m"), words("Causes", Vec::<String>::new())];
        assert!(body(Ok(Some(children))).await.contains("<DoResult><Message>a&lt;b[0m</Message><Causes/></DoResult>"));
        assert!(body(Err(ApiError::invalid("no"))).await.contains("<Code>InvalidParameterValue</Code>"));
    }
}
