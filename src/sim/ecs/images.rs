//! From the images of a deployment to digests, and from their tags to what tasks will do.

use super::{
    model::{Behaviour, Defect, Deployment, Pinned},
    scene::Scene,
};

/// Resolves what a new task runs. The first task of a deployment pins the tags for all later ones, except those of
/// containers that ask not to.
pub(super) fn of_task(deployment: &mut Deployment, scene: &Scene<'_>) -> (Vec<Pinned>, Behaviour) {
    let fresh: Vec<(Pinned, Vec<String>)> = deployment
        .containers
        .iter()
        .map(|container| {
            let resolved = scene.registry.resolve(&container.image);
            let (name, image) = (container.name.clone(), container.image.clone());
            (Pinned { container: name, image, digest: resolved.digest }, resolved.tags)
        })
        .collect();
    let pinned = deployment.pinned.get_or_insert_with(|| fresh.clone());
    let chosen: Vec<&(Pinned, Vec<String>)> = deployment
        .containers
        .iter()
        .zip(pinned.iter().zip(&fresh))
        .map(|(container, (pinned, fresh))| if container.consistent { pinned } else { fresh })
        .collect();
    let behaviour = behaviour(&chosen);
    (chosen.into_iter().map(|(pinned, _)| pinned.clone()).collect(), behaviour)
}

/// Reads the markers in all tags of all images. Where several stand there, what comes first in a task's life wins.
fn behaviour(images: &[&(Pinned, Vec<String>)]) -> Behaviour {
    let marked = |marker: &str| images.iter().any(|(_, tags)| tags.iter().any(|tag| tag.contains(marker)));
    let missing = images.iter().any(|(pinned, _)| pinned.digest.is_none());
    let defect = [
        (marked("noroom"), Defect::Unplaceable),
        (missing || marked("nope"), Defect::Unpullable),
        (marked("hang"), Defect::Hanging),
        (marked("crash"), Defect::Crashing),
        (marked("oom"), Defect::Starving),
        (marked("sick"), Defect::Sick),
    ];
    let defect = defect.into_iter().find_map(|(marked, defect)| marked.then_some(defect));
    Behaviour { slow: marked("slow"), defect }
}
