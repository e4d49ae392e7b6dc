use std::collections::BTreeMap;

/// The objects of one watch, by name.
#[derive(Debug)]
pub(crate) struct Collection<T> {
    items: BTreeMap<String, T>,
    /// The objects of a list that has not come to its end; until then the ones of before count.
    listing: Option<BTreeMap<String, T>>,
    is_synced: bool,
}

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), listing: None, is_synced: false }
    }
}

impl<T> Collection<T> {
    /// A list begins.
    pub(crate) fn begin(&mut self) {
        self.listing = Some(BTreeMap::new());
    }

    /// An object of that list.
    pub(crate) fn list(&mut self, name: String, item: T) {
        self.listing.get_or_insert_default().insert(name, item);
    }

    /// The list is whole.
    pub(crate) fn end(&mut self) {
        self.items = self.listing.take().unwrap_or_default();
        self.is_synced = true;
    }

    /// An object as it is now.
    pub(crate) fn put(&mut self, name: String, item: T) {
        self.items.insert(name, item);
    }

    /// An object is gone.
    pub(crate) fn remove(&mut self, name: &str) {
        self.items.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.items.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }

    pub(crate) const fn is_synced(&self) -> bool {
        self.is_synced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_the_place_of_what_was_known_when_it_is_whole() {
        let mut collection = Collection::default();
        collection.put("a".to_owned(), 1);
        assert!(!collection.is_synced());
        collection.begin();
        collection.list("b".to_owned(), 2);
        assert_eq!(collection.iter().collect::<Vec<_>>(), [&1]);
        collection.end();
        assert_eq!((collection.iter().collect::<Vec<_>>(), collection.is_synced()), (vec![&2], true));
        collection.remove("b");
        assert_eq!(collection.get("b"), None);
    }
}
