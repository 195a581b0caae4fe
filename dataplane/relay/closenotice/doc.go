// Package closenotice tells the viewers of a relay that was killed to join again.
//
// A relay that is killed cannot tell its viewers; they find out by themselves after five seconds and more. So it seals
// the record that tells each viewer to join again as soon as its DTLS connection is parked (package secure), and keeps
// it in a File. The next process that has the same addresses, or the one that runs beside it for that (Orphans, Tell),
// sends what it finds there, and viewers go elsewhere at once; Detour answers their requests until there is a relay
// again.
//
// What is kept is one sealed record each: no key. It has a sequence number that the connection never reaches, and
// nothing else is sealed under it.
package closenotice

// Number is the DTLS sequence number of that record, far beyond those of records that are sent and below 2^48.
const Number = 1 << 47
