mod cases;
mod fixture;
mod histories;
