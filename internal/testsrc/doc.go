// Package testsrc draws a moving test picture that carries the wall clock, for tests, the demo and benchmarks.
//
// The picture shows colour bars, a ball on its way, a digital clock (UTC), and a barcode that a program reads to learn
// when the picture was drawn. The difference to the reader's clock is the latency of everything between.
//
// # Barcode
//
// The picture is cut into 32 columns and 18 rows of equal cells. Column c spans the pixels floor(c*width/32) up to
// floor((c+1)*width/32), rows likewise with 18. The first two rows of cells hold 64 bits, one per cell, left to right,
// top row first, most significant bit first. A white cell is 1, a black cell is 0:
//
//	bits  0..7   marker 10100110 (0xA6)
//	bits  8..55  Unix time in milliseconds, UTC, at the moment of drawing
//	bits 56..63  CRC-8 of the six bytes before (polynomial 0x07, initial value 0, not reflected, no final xor)
//
// A reader takes the mean luma of the inner half of each cell and calls 128 and above white. From a canvas in a
// browser:
//
//	function readBarcode(ctx, w, h) {
//	  const px = ctx.getImageData(0, 0, w, Math.ceil(h * 2 / 18)).data
//	  const bit = (c, r) => {
//	    const x = Math.floor((c + 0.5) * w / 32), y = Math.floor((r + 0.5) * h / 18)
//	    let sum = 0
//	    for (let dy = -2; dy <= 2; dy++)
//	      for (let dx = -2; dx <= 2; dx++) {
//	        const i = 4 * ((y + dy) * w + x + dx)
//	        sum += 0.299 * px[i] + 0.587 * px[i + 1] + 0.114 * px[i + 2]
//	      }
//	    return sum / 25 >= 128 ? 1 : 0
//	  }
//	  const bytes = []
//	  for (let b = 0; b < 8; b++) {
//	    let v = 0
//	    for (let i = 0; i < 8; i++) v = v << 1 | bit((8 * b + i) % 32, (8 * b + i) >> 5)
//	    bytes.push(v)
//	  }
//	  if (bytes[0] !== 0xA6) return null
//	  let crc = 0
//	  for (const v of bytes.slice(1, 7)) {
//	    crc ^= v
//	    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? (crc << 1 ^ 0x07) & 0xFF : crc << 1
//	  }
//	  if (crc !== bytes[7]) return null
//	  return bytes.slice(1, 7).reduce((ms, v) => ms * 256 + v, 0)
//	}
package testsrc
