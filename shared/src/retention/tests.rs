mod cases;
mod fixture;
mod histories;
mod ledger;
