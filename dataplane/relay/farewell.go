package relay

// A relay that is killed cannot tell its players; they find out by themselves after five seconds and more. So it seals
// what tells each player to come again as soon as its connection is parked, and keeps it in a file (farewells.go). The
// next process that has the same addresses, or the one that runs beside it for that (orphans.go), sends what it finds
// there, and players go elsewhere at once.
//
// What is kept is one sealed record each: no key. It has a sequence number that the connection never reaches, and
// nothing else is sealed under it.

// farewellNumber is the sequence number of that record, far beyond those of records that are sent and below 2^48.
const farewellNumber = 1 << 47
