/**
 * How long the event loop is blocked while schemas near the server's limits are compiled: the delay of a 5 ms timer, without and with
 * slices, over a vocabulary of 201,088 ids. `node bench/structured-loop.ts`, one line of JSON each.
 */
import { preset } from '../src/architecture/presets.ts'
import { synthTextFiles } from '../src/cli/support/synth-text.ts'
import { compileConstraint, constraint, prepareVocabulary } from '../src/structured/structured.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'

const list = <T>(length: number, entry: (i: number) => T): T[] => Array.from({ length }, (_, i) => entry(i))
const named = <T>(length: number, entry: (i: number) => T): Record<string, T> =>
  Object.fromEntries(list(length, (i) => [`p${i}`, entry(i)]))
/** Each at most 64 Ki characters with at most 16 patterns, as the server allows. */
const schemas: Record<string, object> = {
  '16 formats with lengths': { type: 'object', properties: named(16, (i) => ({ type: 'string', format: 'email', maxLength: 30 + i })) },
  '16 patterns': { type: 'object', properties: named(16, (i) => ({ type: 'string', pattern: `^(a|b|[^x${i}]){1,60}x[a-z]{1,9}$` })) },
  'one pattern too many': { type: 'object', properties: named(16, (i) => ({ type: 'string', pattern: `^.*(a|b${i}).{8}$` })) },
  'oneOf of 1000 constants': { oneOf: list(1000, (i) => ({ const: `v${i}` })) },
  'oneOf of 256 objects': {
    oneOf: list(256, (i) => ({ type: 'object', properties: { k: { const: `v${i}` } }, required: ['k'] })),
  },
  '256 narrow ranges': { anyOf: list(256, (i) => ({ type: 'number', minimum: i + 1e-9, maximum: i + 2.5e-9 })) },
  '1500 properties': { type: 'object', properties: named(1500, (i) => ({ type: 'string', minLength: i })) },
  'enum of 1000 long texts': { type: 'string', enum: list(1000, (i) => `${i}`.padEnd(60, 'x')) },
  '250 references in a circle': {
    $defs: named(250, (i) => ({ anyOf: [{ $ref: `#/$defs/p${(i * 7 + 3) % 250}` }, { type: 'null' }] })),
    $ref: '#/$defs/p0',
  },
}

const json = JSON.parse(synthTextFiles(preset('gpt-oss-20b')!).get('tokenizer.json')!)
const fresh = () => tokenizerFromJson(json, 'tokenizer.json')

async function delays(run: () => unknown): Promise<{ ms: number; p99: number; worst: number; result: string }> {
  const late: number[] = []
  let due = performance.now() + 5
  const timer = setInterval(() => {
    const now = performance.now()
    late.push(Math.max(0, now - due))
    due = now + 5
  }, 5)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const started = performance.now()
  let result = 'compiled'
  try {
    await run()
  } catch (error) {
    result = (error as Error).message.slice(0, 60)
  }
  const ms = performance.now() - started
  await new Promise((resolve) => setTimeout(resolve, 20))
  clearInterval(timer)
  late.sort((a, b) => a - b)
  const round = (value: number) => Math.round(value * 10) / 10
  return { ms: round(ms), p99: round(late[Math.floor(late.length * 0.99)]!), worst: round(late.at(-1)!), result }
}

const warm = fresh()
await prepareVocabulary(warm)
for (let round = 0; round < 2; round++) {
  const show = (what: string, how: string, line: object) => round > 0 && console.log(JSON.stringify({ what, how, ...line }))
  const [one, other] = [fresh(), fresh()]
  show('vocabulary', 'at once', await delays(() => constraint({ schema: { type: 'null' } }, one)))
  show('vocabulary', 'in slices', await delays(() => prepareVocabulary(other)))
  for (const [name, schema] of Object.entries(schemas)) {
    show(name, 'at once', await delays(() => constraint({ schema }, warm)))
    show(name, 'in slices', await delays(() => compileConstraint({ schema }, warm)))
  }
}
