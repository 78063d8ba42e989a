//! Images: pushed, replicated, scanned.

use super::{
    Reading, Reason,
    envelope::Envelope,
    json::{Field, Object, quoted},
    unknown,
};
use crate::domain::{
    Digest, GoneImage, PushedImage, RepositoryName, ScannedImage, Trigger, is_digest, is_tag,
};

/// What an event of ECR, or of the Inspector that scans for it, means.
pub(super) fn read(envelope: &Envelope) -> Reading {
    match &*envelope.detail_type {
        "ECR Image Action" => image_action(envelope.detail()?),
        "ECR Replication Action" => replication(envelope.detail()?),
        "ECR Image Scan" | "Inspector2 Scan" => scan(envelope.detail()?),
        "ECR Pull Through Cache Action" => {
            Ok(Trigger::Ignored("the pull-through cache fetched an image: nobody pushed it".into()))
        }
        "ECR Referrer Action" => {
            Ok(Trigger::Ignored("a signature or other referrer of an image is not an image to deploy".into()))
        }
        "Inspector2 Finding" => {
            Ok(Trigger::Ignored("a single finding decides nothing: the scan that it belongs to does".into()))
        }
        _ => Ok(unknown(envelope)),
    }
}

fn image_action(detail: Object) -> Reading {
    let [action, result, storage_class] = detail.pick(["action-type", "result", "target-storage-class"])?;
    match &*action.filled()? {
        "PUSH" => tagged_image(detail, "push", result)
            .map(|image| image.map_or_else(Trigger::Ignored, Trigger::ImagePushed)),
        "DELETE" => Ok(Trigger::Ignored("an image was deleted: nothing follows for what runs".into())),
        "UPDATE_STORAGE_CLASS" => {
            let class = quoted(&storage_class.text()?.unwrap_or_default());
            Ok(Trigger::Ignored(format!("an image was moved to the storage class {class}: it is not a push")))
        }
        other => Ok(Trigger::Ignored(format!("the action {} is not a push", quoted(other)))),
    }
}

/// The image that this took away, if it did.
pub(super) fn gone(detail: Object) -> Result<Option<GoneImage>, Reason> {
    let [action, result, class, repository, tag, digest] = detail.pick([
        "action-type",
        "result",
        "target-storage-class",
        "repository-name",
        "image-tag",
        "image-digest",
    ])?;
    let archived = match &*action.filled()? {
        "DELETE" => false,
        "UPDATE_STORAGE_CLASS" if class.text()?.is_some_and(|class| class == "ARCHIVE") => true,
        _ => return Ok(None),
    };
    let tag = tag.text()?.filter(|text| is_tag(text)).map(|text| (&*text).into());
    let digest = digest.text()?.filter(|text| is_digest(text)).map(|text| Digest::from(&*text));
    if result.filled()? != "SUCCESS" || (tag.is_none() && digest.is_none()) {
        return Ok(None);
    }
    Ok(Some(GoneImage { repository: repository_of(repository)?, tag, digest, archived }))
}

fn replication(detail: Object) -> Reading {
    let [action, result] = detail.pick(["action-type", "result"])?;
    match action.text()?.as_deref() {
        None | Some("REPLICATE") => tagged_image(detail, "replication", result)
            .map(|image| image.map_or_else(Trigger::Ignored, Trigger::ImageReplicated)),
        Some(other) => Ok(Trigger::Ignored(format!("the action {} is not a replication", quoted(other)))),
    }
}

/// The image that arrived, or why there is none to deploy.
fn tagged_image(detail: Object, what: &str, result: Field) -> Result<Result<PushedImage, Reason>, Reason> {
    let result = result.filled()?;
    if result != "SUCCESS" {
        return Ok(Err(format!("the {what} ended with {}: no image arrived", quoted(&result))));
    }
    let [repository, tag, digest, kind] =
        detail.pick(["repository-name", "image-tag", "image-digest", "manifest-media-type"])?;
    let repository = repository_of(repository)?;
    let text = tag.text()?.unwrap_or_default();
    if text.is_empty() {
        let name = quoted(repository.as_str());
        return Ok(Err(format!(
            "the {what} to {name} has no tag: it is a part of an image, or of no use by name"
        )));
    }
    if !is_tag(&text) {
        return Err(format!("{tag} is {}, which no image can have as its tag", quoted(&text)));
    }
    // What is no digest counts as unknown, which is not the same as different.
    let digest = digest.text()?.filter(|text| is_digest(text)).map(|text| Digest::from(&*text));
    let is_index = kind.text().ok().flatten().and_then(|kind| is_index(&kind));
    Ok(Ok(PushedImage { repository, tag: (&*text).into(), digest, is_index }))
}

/// Whether a manifest of this media type lists several images; `None` where it is not one that is known.
fn is_index(media_type: &str) -> Option<bool> {
    match media_type {
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => Some(true),
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => Some(false),
        _ => None,
    }
}

fn scan(detail: Object) -> Reading {
    let [status, repository, digest, counts] =
        detail.pick(["scan-status", "repository-name", "image-digest", "finding-severity-counts"])?;
    let (critical, high) = if counts.is_present() {
        let [critical, high] = counts.object()?.pick(["CRITICAL", "HIGH"])?;
        (critical.number()?.unwrap_or(0), high.number()?.unwrap_or(0))
    } else {
        (0, 0)
    };
    Ok(Trigger::ImageScanned(ScannedImage {
        repository: repository_of(repository)?,
        digest: (&*digest.filled()?).into(),
        complete: matches!(&*status.filled()?, "COMPLETE" | "INITIAL_SCAN_COMPLETE"),
        critical,
        high,
    }))
}

/// Enhanced scanning names the repository by its ARN.
fn repository_of(field: Field) -> Result<RepositoryName, Reason> {
    let text = field.filled()?;
    let name = match text.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":repository/").map(|(_, name)| name).filter(|name| !name.is_empty()),
        None => Some(&*text),
    };
    let wrong = || format!("{field} is {}, and must be a repository's name or ARN", quoted(&text));
    name.map(RepositoryName::from).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{ignored, malformed, trigger};

    const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn action(detail: &str) -> (&'static str, &'static str, String) {
        ("aws.ecr", "ECR Image Action", format!(r#"{{"repository-name":"shop/web",{detail}}}"#))
    }

    fn scanned(kind: (&str, &str), detail: &str) -> ScannedImage {
        match trigger(kind.0, kind.1, detail) {
            Trigger::ImageScanned(image) => image,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_push_with_a_tag_is_an_image_pushed() {
        let (source, kind, detail) = action(&format!(
            r#""action-type":"PUSH","result":"SUCCESS","image-tag":"v7","image-digest":"{DIGEST}","new":[1]"#
        ));
        let image = PushedImage {
            repository: "shop/web".into(),
            tag: "v7".into(),
            digest: Some(DIGEST.into()),
            is_index: None,
        };
        assert_eq!(trigger(source, kind, &detail), Trigger::ImagePushed(image));
    }

    #[test]
    fn the_media_type_tells_an_index_from_a_single_image() {
        for (kind, expected) in [
            (r#""application/vnd.oci.image.index.v1+json""#, Some(true)),
            (r#""application/vnd.docker.distribution.manifest.list.v2+json""#, Some(true)),
            (r#""application/vnd.oci.image.manifest.v1+json""#, Some(false)),
            (r#""application/vnd.docker.distribution.manifest.v2+json""#, Some(false)),
            (r#""application/vnd.docker.distribution.manifest.v1+prettyjws""#, None),
            ("7", None),
        ] {
            let (source, detail_type, detail) = action(&format!(
                r#""action-type":"PUSH","result":"SUCCESS","image-tag":"v7","manifest-media-type":{kind}"#
            ));
            let Trigger::ImagePushed(image) = trigger(source, detail_type, &detail) else { panic!("{kind}") };
            assert_eq!(image.is_index, expected, "{kind}");
        }
    }

    #[test]
    fn a_push_without_a_tag_is_ignored() {
        for tag in [r#","image-tag":"""#, r#","image-tag":null"#, ""] {
            let (source, kind, detail) = action(&format!(r#""action-type":"PUSH","result":"SUCCESS"{tag}"#));
            assert!(ignored(source, kind, &detail).contains("has no tag"));
        }
    }

    #[test]
    fn what_is_not_a_successful_push_is_ignored_with_its_reason() {
        for (fields, word) in [
            (r#""action-type":"PUSH","result":"FAILURE","image-tag":"v7""#, "FAILURE"),
            (r#""action-type":"DELETE","result":"SUCCESS","image-tag":"v7""#, "deleted"),
            (r#""action-type":"UPDATE_STORAGE_CLASS","target-storage-class":"ARCHIVE""#, "ARCHIVE"),
            (r#""action-type":"POLISH","result":"SUCCESS""#, "POLISH"),
        ] {
            let (source, kind, detail) = action(fields);
            let reason = ignored(source, kind, &detail);
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn a_push_that_lacks_what_ecr_always_sends_is_malformed() {
        for (fields, name) in [
            (r#""result":"SUCCESS","image-tag":"v7""#, "action-type"),
            (r#""action-type":"PUSH","image-tag":"v7""#, "result"),
            (r#""action-type":"PUSH","result":"SUCCESS","image-tag":7"#, "image-tag"),
            (r#""action-type":"PUSH","result":"SUCCESS","image-tag":"a b""#, "image-tag"),
        ] {
            let (source, kind, detail) = action(fields);
            assert!(malformed(source, kind, &detail).contains(name));
        }
        let nameless = r#"{"action-type":"PUSH","result":"SUCCESS","image-tag":"v7"}"#;
        assert!(malformed("aws.ecr", "ECR Image Action", nameless).contains("repository-name"));
    }

    #[test]
    fn a_digest_that_is_none_is_unknown() {
        let (source, kind, detail) =
            action(r#""action-type":"PUSH","result":"SUCCESS","image-tag":"v7","image-digest":"md5""#);
        let Trigger::ImagePushed(image) = trigger(source, kind, &detail) else { panic!("not a push") };
        assert_eq!(image.digest, None);
    }

    #[test]
    fn a_replica_arrives_as_an_image_replicated() {
        let detail = |result: &str, tag: &str| {
            format!(
                r#"{{"action-type":"REPLICATE","result":"{result}","repository-name":"shop/web",
                    "image-digest":"{DIGEST}","source-region":"eu-west-1","image-tag":"{tag}"}}"#
            )
        };
        let kind = "ECR Replication Action";
        let Trigger::ImageReplicated(image) = trigger("aws.ecr", kind, &detail("SUCCESS", "v7")) else {
            panic!("no replica")
        };
        assert_eq!((image.repository.as_str(), image.tag.as_str()), ("shop/web", "v7"));
        assert!(ignored("aws.ecr", kind, &detail("FAILED", "v7")).contains("FAILED"));
        assert!(ignored("aws.ecr", kind, &detail("SUCCESS", "")).contains("has no tag"));
    }

    #[test]
    fn severities_that_a_scan_does_not_name_count_as_0() {
        let image = scanned(
            ("aws.ecr", "ECR Image Scan"),
            r#"{"scan-status":"COMPLETE","repository-name":"web","image-digest":"sha256:aa",
                "finding-severity-counts":{"HIGH":3,"LOW":9},"image-tags":[]}"#,
        );
        assert!(image.complete);
        assert_eq!((image.critical, image.high), (0, 3));
        let image = scanned(
            ("aws.ecr", "ECR Image Scan"),
            r#"{"scan-status":"FAILED","repository-name":"web","image-digest":"sha256:aa"}"#,
        );
        assert_eq!((image.complete, image.critical, image.high), (false, 0, 0));
    }

    #[test]
    fn enhanced_scanning_means_the_same_and_names_the_repository_by_its_arn() {
        let image = scanned(
            ("aws.inspector2", "Inspector2 Scan"),
            r#"{"scan-status":"INITIAL_SCAN_COMPLETE","image-digest":"sha256:aa",
                "repository-name":"arn:aws:ecr:eu-west-1:111122223333:repository/shop/web",
                "finding-severity-counts":{"CRITICAL":2,"TOTAL":11}}"#,
        );
        assert_eq!((image.repository.as_str(), image.complete, image.critical), ("shop/web", true, 2));
    }

    #[test]
    fn a_count_that_is_no_number_is_malformed() {
        for count in [r#""many""#, "-1", "1e400", "99999999999999999999999"] {
            let detail = format!(
                r#"{{"scan-status":"COMPLETE","repository-name":"web","image-digest":"sha256:aa",
                    "finding-severity-counts":{{"CRITICAL":{count}}}}}"#
            );
            assert!(malformed("aws.ecr", "ECR Image Scan", &detail).contains("CRITICAL"));
        }
    }

    #[test]
    fn other_news_of_images_is_ignored_without_looking_at_it() {
        for (source, kind, why) in [
            ("aws.ecr", "ECR Pull Through Cache Action", "nobody pushed it"),
            ("aws.ecr", "ECR Referrer Action", "not an image to deploy"),
            ("aws.ecr", "ECR Scan Resource Change", "not a kind of event"),
            ("aws.inspector2", "Inspector2 Finding", "the scan that it belongs to does"),
        ] {
            let reason = ignored(source, kind, "7");
            assert!(reason.contains(why), "{reason}");
        }
    }
}
