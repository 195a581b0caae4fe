// Prints the three figures of `make demo` from the output of e2e/browser/drive.mjs: node hack/demo-figures.mjs FILE
// Exits 1 when one of them was not measured.
import { readFileSync } from 'node:fs'

const lines = readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
const join = lines.find((line) => line.event === 'result')?.result.joins[0]
if (!join || join.error) {
  console.error(`The browser played nothing: ${join?.error ?? lines.find((line) => line.event === 'failure')?.message ?? 'no result'}`)
  process.exit(1)
}

const figures = [
  ['First picture', join.firstPresentedMs, 'ms after the offer was sent'],
  ['Latency', join.late?.presented?.p50 ?? join.late?.called?.p50, 'ms from drawing the picture to showing it (p50)'],
  ['Frame rate', join.fps, `frames per second, ${join.width}x${join.height}, ${join.freezes} freezes, ${join.packetsLost} packets lost`],
]
let missing = 0
for (const [name, value, unit] of figures) {
  const measured = typeof value === 'number' && Number.isFinite(value) && value > 0
  console.log(`  ${name.padEnd(14)} ${measured ? value.toFixed(1).padStart(7) : 'not measured'} ${measured ? unit : ''}`)
  if (!measured) missing++
}
process.exit(missing ? 1 : 0)
