//! Answers that are wrong once, or each time: nothing that may be good is deleted for them.

use drover::exit::{Chain, Exit, Fault as _};
use drover::resources::S3Location;
use drover::storage::{BadCopy, Error, Found, Stored, Verification};
use drover_testbed::S3;
use drover_testbed::damage::{Damage, Fault};

use super::{makes, names, open, place, spool};

/// Sizes that go up as one request and as parts.
const SIZES: [usize; 2] = [1000, 12 << 20];

async fn behind(s3: &S3, folder: &str) -> (Damage, S3Location) {
    let way = Damage::start(&s3.endpoint).await.unwrap();
    let location = S3Location { endpoint: Some(way.url()), ..place(s3, folder) };
    (way, location)
}

async fn store(s3: &S3, location: &S3Location, name: &str, size: usize) -> Result<Stored, Error> {
    let (file, content) = spool(size);
    open(s3, location).await.store(name, file.path(), content, |_| ()).await
}

#[tokio::test]
async fn one_wrong_answer_is_read_again_on_another_connection_and_deletes_nothing() {
    for s3 in makes().await {
        let (way, location) = behind(s3, "damaged-once").await;
        for fault in [Fault::WrongByte, Fault::NotFound] {
            for size in SIZES {
                way.damage(fault, 1);
                let name = format!("{fault:?}-{size}.tar.gz");
                let stored = store(s3, &location, &name, size).await;
                stored.unwrap_or_else(|error| panic!("{fault:?} {size}: {}", Chain::of(&error)));
                let reads = way.reads();
                assert!(matches!(reads[..], [(one, true), (other, false)] if one != other), "{reads:?}");
                assert_eq!((way.stores(), way.deletions()), (1, 0), "{fault:?} {size}");
                let found = open(s3, &place(s3, "damaged-once")).await.verify(&name, spool(size).1).await.unwrap();
                assert_eq!(found, Verification::Verified);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_as_it_was_sent_is_stored_again() {
    for s3 in makes().await {
        let (way, location) = behind(s3, "damaged-often").await;
        for fault in [Fault::WrongByte, Fault::NotFound] {
            way.damage(fault, 4);
            let name = format!("{fault:?}.tar.gz");
            let stored = store(s3, &location, &name, 1000).await;
            stored.unwrap_or_else(|error| panic!("{fault:?}: {}", Chain::of(&error)));
            assert_eq!((way.stores(), way.reads().len(), way.deletions()), (2, 5, 0), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_lasting_wrong_answer_fails_and_the_copy_that_may_be_good_stays() {
    for s3 in makes().await {
        let (way, location) = behind(s3, "damaged-always").await;
        let straight = open(s3, &place(s3, "damaged-always")).await;
        for (fault, copy, listed) in
            [(Fault::WrongByte, BadCopy::Marked, true), (Fault::NotFound, BadCopy::Unseen, false)]
        {
            way.damage(fault, usize::MAX);
            let name = format!("{fault:?}.tar.gz");
            let error = store(s3, &location, &name, 1000).await.unwrap_err();
            let text = Chain::of(&error).to_string();
            assert_eq!(error.exit(), Exit::DataRefused, "{text}");
            let Error::Verify { difference, .. } = &error else { panic!("{text}") };
            assert_eq!(
                (difference.copy, difference.found == Found::Nothing),
                (copy, fault == Fault::NotFound),
                "{text}"
            );
            assert_eq!((way.stores(), way.reads().len(), way.deletions()), (3, 9, 0), "{fault:?}");
            // The copy was good all the time. The next try, on a way that is sound, finds it and takes the mark away.
            let (file, content) = spool(1000);
            assert_eq!(straight.verify(&name, content).await.unwrap(), Verification::Verified);
            assert_eq!(straight.label(&name).await.unwrap().unwrap().is_bad, listed, "{fault:?}");
            let stored = straight.store(&name, file.path(), content, |_| ()).await.unwrap();
            assert!(stored.already_there);
            assert!(!straight.label(&name).await.unwrap().unwrap().is_bad);
        }
        assert_eq!(names(&straight).await, ["NotFound.tar.gz", "WrongByte.tar.gz"]);
    }
}
