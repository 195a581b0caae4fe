// Reads `go test -json` and prints it for people: every top-level test as go test prints it, the whole output of what
// failed, then the slowest tests, the skipped ones, and go test's own line per package at the end.
// Exits 1 when a test failed, when none ran, or when one was skipped while CI=true.
import { createInterface } from 'node:readline'

const output = new Map() // "package test" -> lines, until the test ends
const packages = []
const tests = []
const skipped = []
const failures = []
let failed = false

const key = (event) => `${event.Package ?? event.ImportPath} ${event.Test ?? ''}`

// unended gives what the tests printed that have no end of their own, for the package ended first: a time-out says there where they hung.
function unended(name) {
  const texts = []
  for (const [test, lines] of output) {
    if (!test.startsWith(`${name} `)) continue
    texts.push(...lines)
    output.delete(test)
  }
  return texts
}

for await (const line of createInterface({ input: process.stdin })) {
  let event
  try {
    event = JSON.parse(line)
  } catch {
    console.log(line)
    continue
  }
  if (event.Action === 'output' || event.Action === 'build-output') {
    if (!event.Test && /^(ok|FAIL|---|\?)\s+\S+\s/.test(event.Output)) packages.push(event.Output.trimEnd())
    if (!output.has(key(event))) output.set(key(event), [])
    output.get(key(event)).push(event.Output)
    continue
  }
  const ended = ['pass', 'fail', 'skip', 'build-fail'].includes(event.Action)
  if (!ended) continue
  const lines = output.get(key(event)) ?? []
  output.delete(key(event))
  if (event.Action === 'fail' || event.Action === 'build-fail') {
    failed = true
    const unfinished = event.Test ? [] : unended(event.Package)
    failures.push(...unfinished, ...lines)
    process.stdout.write([...unfinished, ...lines].join(''))
    continue
  }
  if (!event.Test) {
    process.stdout.write(lines.filter((text) => text !== 'PASS\n').join(''))
    continue
  }
  tests.push({ name: `${event.Package.split('/').slice(3).join('/') || '.'} ${event.Test}`, seconds: event.Elapsed ?? 0 })
  if (event.Action === 'skip') skipped.push(...lines.filter((text) => !text.startsWith('=== ')))
  else if (!event.Test.includes('/')) process.stdout.write(lines.filter((text) => text.startsWith('--- ')).join(''))
}

const top = tests.filter((test) => !test.name.includes('/Test') && !/ \S+\//.test(test.name))
top.sort((a, b) => b.seconds - a.seconds)
console.log('\nSlowest tests:')
for (const test of top.slice(0, 20)) console.log(`  ${test.seconds.toFixed(1).padStart(6)} s  ${test.name}`)

if (skipped.length > 0) {
  console.log('\nSkipped:')
  process.stdout.write(skipped.join(''))
  if (process.env.CI === 'true') {
    console.log('With CI=true no test may be skipped.')
    failed = true
  }
}
if (failures.length > 0) {
  console.log('\nFailed, once more:')
  process.stdout.write(failures.join(''))
}
if (tests.length === 0) {
  console.log('No test ran.')
  failed = true
}
console.log(`\n${tests.length} tests and subtests ran.`)
for (const line of packages) console.log(line)
process.exit(failed ? 1 : 0)
