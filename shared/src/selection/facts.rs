use crate::object::Object;

/// What a selector looks at in an object.
pub trait Facts {
    /// The object's name.
    fn name(&self) -> &str;
    /// Its namespace, where it has one.
    fn namespace(&self) -> Option<&str>;
    /// The value of a label.
    fn label(&self, key: &str) -> Option<String>;
    /// The scalar at a dotted path such as `status.phase`, as text.
    fn field(&self, path: &str) -> Option<String>;
}

impl Facts for Object<'_> {
    fn name(&self) -> &str {
        self.name()
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace()
    }

    fn label(&self, key: &str) -> Option<String> {
        self.labels().ok()?.remove(key)
    }

    fn field(&self, path: &str) -> Option<String> {
        self.field(path)
    }
}
