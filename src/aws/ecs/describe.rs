//! Reads task definitions. A revision never changes, but for its tags, so what decisions need of it is
//! remembered.

use std::sync::{Arc, PoisonError};

use aws_sdk_ecs::types::TaskDefinitionField;

use super::{Reach, Remembered, definition::Document, logs::Logs, tap::Tap};
use crate::{
    aws::{
        budget::Urgency,
        connect::READ_ATTEMPTS,
        failure::{Fault, Kind, Verb},
    },
    domain::{CallFailure, DefinitionId, DefinitionRef, DefinitionView, Marks},
};

const OPERATION: &str = "DescribeTaskDefinition";

impl Reach {
    /// Describes a revision, or the newest ACTIVE one of a family, with its tags; `None` if there is none.
    pub(super) async fn document(&self, which: &DefinitionRef) -> Result<Option<Document>, CallFailure> {
        self.document_by(which, Urgency::Soon).await
    }

    pub(super) async fn document_by(
        &self,
        which: &DefinitionRef,
        urgency: Urgency,
    ) -> Result<Option<Document>, CallFailure> {
        let tap = Tap::default();
        let call = self.reads.describe_task_definition().task_definition(which.to_string());
        let call = call.include(TaskDefinitionField::Tags);
        let call = || call.clone().customize().interceptor(tap.clone()).send();
        match self.ask(OPERATION, READ_ATTEMPTS, urgency, call).await {
            Ok(_) => {
                let document = Document::parse(&tap.body());
                let document = document.map_err(|why| unusable(&format!("{which}: {why}")))?;
                self.remember(document.view(), document.logs());
                Ok(Some(document))
            }
            // ECS has no code of its own for a definition that does not exist.
            Err(fault) if fault.kind() == Kind::Refused => Ok(None),
            Err(fault) => Err(fault.of_call(OPERATION, Verb::Read)),
        }
    }

    /// What decisions need of a revision. One that was deleted since is known by its id only.
    pub(super) async fn view(&self, id: &DefinitionId) -> Result<DefinitionView, CallFailure> {
        if let Some(remembered) = self.remembered(id) {
            return Ok(remembered.view);
        }
        let document = self.document(&id.clone().into()).await?;
        let unknown = || DefinitionView { id: id.clone(), images: [].into(), marks: Marks::default() };
        Ok(document.map_or_else(unknown, |document| document.view()))
    }

    /// A definition that somebody asks for, or why it cannot be deployed.
    pub(super) async fn wanted(
        &self,
        which: &DefinitionRef,
    ) -> Result<Result<DefinitionView, String>, CallFailure> {
        let family = &which.family;
        Ok(match (self.document(which).await?, which.revision) {
            (Some(document), _) if document.active => Ok(document.view()),
            (Some(document), Some(_)) => {
                Err(format!("{} is INACTIVE: no service can be updated to it", document.id))
            }
            (Some(_) | None, None) => Err(format!("no task definitions found for family {family}")),
            (None, Some(_)) => Err(format!("there is no task definition {which}")),
        })
    }

    /// Where the containers of a revision write to.
    pub(super) async fn logs(&self, id: &DefinitionId) -> Result<Arc<Logs>, CallFailure> {
        if let Some(remembered) = self.remembered(id) {
            return Ok(remembered.logs);
        }
        let document = self.document(&id.clone().into()).await?;
        Ok(Arc::new(document.map(|document| document.logs()).unwrap_or_default()))
    }

    /// The next looks read anew.
    pub(super) fn forget_definitions(&self) {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn remembered(&self, id: &DefinitionId) -> Option<Remembered> {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).get(id)
    }

    /// Marks only rise: what was read before a revision was tagged does not take that back.
    pub(super) fn remember(&self, mut view: DefinitionView, logs: Logs) {
        let mut remembered = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = remembered.get(&view.id) {
            view.marks.raise(&before.view.marks);
        }
        remembered.insert(view.id.clone(), Remembered { view, logs: Arc::new(logs) });
    }
}

fn unusable(why: &str) -> CallFailure {
    Fault::unusable(why).of_call(OPERATION, Verb::Read)
}
