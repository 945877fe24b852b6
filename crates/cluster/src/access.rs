//! What somebody may do, asked of the API server: one SubjectAccessReview a question. Nothing is kept: rights that are taken away are
//! gone with the next request.

use std::sync::Arc;
use std::time::Instant;

use portcullis::{AccessAnswer, AccessQuestion, AccessResource, AccessTo, Answers, Questions};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::connect::Cluster;

const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
/// So many are under way at once; others wait, until their deadline at most.
const AT_ONCE: usize = 16;

/// Who asks about rights. Cheap to clone; all clones have one bound.
#[derive(Clone, Debug)]
pub struct AccessReviews {
    cluster: Cluster,
    room: Arc<Semaphore>,
}

impl AccessReviews {
    /// Asks the API server of a cluster.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Answers what is asked about rights, until a deadline: what has not come then is a failure. What else is asked is left.
    pub async fn answer(&self, questions: &Questions, deadline: Instant) -> Answers {
        let mut asking = JoinSet::new();
        for question in questions.access() {
            let (this, question) = (self.clone(), Arc::clone(question));
            asking.spawn(async move {
                let answer = match timeout_at(deadline.into(), this.ask(&question)).await {
                    Ok(answer) => answer,
                    Err(_) => AccessAnswer::Failure("the answer did not come in time".into()),
                };
                (question, answer)
            });
        }
        let mut answers = Answers::new();
        while let Some(joined) = asking.join_next().await {
            // One that broke off is not answered.
            if let Ok((question, answer)) = joined {
                answers.set_access(question, answer);
            }
        }
        answers
    }

    async fn ask(&self, question: &AccessQuestion) -> AccessAnswer {
        let failure = |why: &str| AccessAnswer::Failure(why.into());
        let Ok(_room) = self.room.acquire().await else { return failure("nobody asks any more") };
        match self.cluster.create(PATH, &review(question)).await {
            Ok(review) => read(&review).unwrap_or_else(|| failure("the answer has no `status.allowed`")),
            Err(error) => failure(&error.to_string()),
        }
    }
}

fn review(question: &AccessQuestion) -> Value {
    let user = &question.user;
    let texts = |values: &[Arc<str>]| values.iter().map(|value| Value::from(&**value)).collect::<Value>();
    let mut spec = Map::new();
    let mut put = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    put("user", json!(&*user.name));
    if !user.uid.is_empty() {
        put("uid", json!(&*user.uid));
    }
    if !user.groups.is_empty() {
        put("groups", texts(&user.groups));
    }
    if !user.extra.is_empty() {
        let extra = user.extra.iter().map(|(key, values)| (key.to_string(), texts(values)));
        put("extra", Value::Object(extra.collect()));
    }
    let verb = &*question.verb;
    match &question.to {
        AccessTo::Path(path) => put("nonResourceAttributes", json!({"path": &**path, "verb": verb})),
        AccessTo::Resource(resource) => put("resourceAttributes", attributes(resource, verb)),
    };
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
}

fn attributes(of: &AccessResource, verb: &str) -> Value {
    let AccessResource { group, resource, subresource, namespace, name, field_selector, label_selector } = of;
    let texts = [
        ("group", group),
        ("resource", resource),
        ("subresource", subresource),
        ("namespace", namespace),
        ("name", name),
    ];
    let selectors = [("fieldSelector", field_selector), ("labelSelector", label_selector)];
    let plain = texts.into_iter().map(|(key, text)| (key, text, json!(&**text)));
    let selecting = selectors.into_iter().map(|(key, text)| (key, text, json!({"rawSelector": &**text})));
    let given = plain.chain(selecting).filter(|(_, text, _)| !text.is_empty());
    let given = given.map(|(key, _, value)| (key.to_owned(), value));
    let fixed = [("verb".to_owned(), json!(verb)), ("version".to_owned(), json!("*"))];
    Value::Object(given.chain(fixed).collect())
}

/// What a review says. One that does not say whether it is allowed says nothing.
fn read(review: &Value) -> Option<AccessAnswer> {
    let status = review.get("status")?;
    let text = |key: &str| Arc::from(status.get(key).and_then(Value::as_str).unwrap_or_default());
    let allowed = status.get("allowed")?.as_bool()?;
    Some(AccessAnswer::Decided { allowed, reason: text("reason"), error: text("evaluationError") })
}

#[cfg(test)]
mod tests {
    use portcullis::AccessUser;

    use super::*;

    #[test]
    fn a_review_says_all_that_is_asked() {
        let user = AccessUser {
            name: "alice".into(),
            uid: "1".into(),
            groups: vec!["devs".into()],
            extra: [("scopes".into(), vec!["a".into()])].into(),
        };
        let question = |to| AccessQuestion { user: Arc::new(user.clone()), to, verb: "list".into() };
        let resource = AccessResource {
            group: "apps".into(),
            resource: "deployments".into(),
            namespace: "shop".into(),
            label_selector: "a=b".into(),
            ..AccessResource::default()
        };
        assert_eq!(
            review(&question(AccessTo::Resource(resource)))["spec"],
            json!({
                "user": "alice", "uid": "1", "groups": ["devs"], "extra": {"scopes": ["a"]},
                "resourceAttributes": {
                    "verb": "list", "version": "*", "group": "apps", "resource": "deployments",
                    "namespace": "shop", "labelSelector": {"rawSelector": "a=b"},
                },
            })
        );
        assert_eq!(
            review(&question(AccessTo::Path("/healthz".into())))["spec"]["nonResourceAttributes"],
            json!({"path": "/healthz", "verb": "list"})
        );
    }

    #[test]
    fn what_does_not_decide_is_no_answer() {
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!({"status": {"allowed": "yes"}})), None);
        let decided = read(&json!({"status": {"allowed": false, "reason": "r", "evaluationError": "e"}}));
        let expected = AccessAnswer::Decided { allowed: false, reason: "r".into(), error: "e".into() };
        assert_eq!(decided, Some(expected));
    }
}
