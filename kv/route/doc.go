// Package route sends batches to the ranges that they are for. It owns the range
// cache, the splitting of a batch over ranges and the merging of the answers,
// and it absorbs redirects: nobody above it sees where a range is.
//
// It refuses to know transactions: it neither retries a RetryError nor moves a
// timestamp. A batch that ends a transaction is never split; its sender gets a
// SpansRangesError and commits in another way.
//
// Invariants:
//  1. A batch is sent again only when it certainly was not executed, or when
//     executing it twice does what executing it once does.
//  2. The answers are aligned with the requests, whatever the ranges did in
//     between; a scan's rows are in scan order.
//  3. A cached descriptor is a guess. The range's own answers correct it, also
//     those of requests that succeed, and a correction never replaces a newer
//     generation by an older one.
package route
