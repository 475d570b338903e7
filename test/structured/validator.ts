/** Validates outputs with ajv, which shares no code with our grammar. Formats are checked with functions of the platform. */
import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Matcher } from '../../src/structured/structured.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

/** With code points, where the flag allows the pattern. */
function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return new RegExp(pattern)
  }
}
expression.code = 'expression'

const options = { strict: false, logger: false, multipleOfPrecision: 6, code: { regExp: expression } } as const
const drafts = { '2020-12': new Ajv2020(options), 'draft-7': new Ajv(options) }
const isDay = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text)
const isTime = (text: string) => /^\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(`2000-01-01T${text}`))
const formats: Record<string, (text: string) => boolean> = {
  date: isDay,
  time: isTime,
  'date-time': (text) => isDay(text.slice(0, 10)) && text[10] === 'T' && isTime(text.slice(11)),
  uuid: (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  ipv4: isIPv4,
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text) && URL.canParse(`mailto:${text}`),
  hostname: (text) => URL.canParse(`http://${text}/`) && text.length <= 253,
  uri: (text) => URL.canParse(text),
  'uri-reference': (text) => URL.canParse(text, 'https://example.org/a/b'),
  ipv6: isIPv6,
  duration: (text) => /^P(?!$)((\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?|(\d+W)?)$/.test(text),
  byte: (text) => Buffer.from(text, 'base64').toString('base64') === text || /[A-P]=|[A-Z]==$/.test(text) || text.endsWith('='),
  'json-pointer': (text) => /^(\/([^~/]|~0|~1)*)*$/.test(text),
}
for (const [name, validate] of Object.entries(formats))
  for (const ajv of Object.values(drafts)) ajv.addFormat(name, { type: 'string', validate })

/** Whether the text parses and validates; the reason if not. */
export function validator(schema: object): (text: string) => string | undefined {
  const isOld = /"items":\[|"\$schema":"[^"]*draft-0/.test(JSON.stringify(schema))
  const ajv = drafts[isOld ? 'draft-7' : '2020-12']
  // Schemas may share an $id; what this instance has compiled is not wanted again.
  const validate = ajv.compile(schema)
  ajv.removeSchema(schema)
  return (text) => {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      return `does not parse: ${(error as Error).message}`
    }
    return validate(value) ? undefined : ajv.errorsText(validate.errors)
  }
}

export function allowedIds(mask: Uint32Array): number[] {
  const ids: number[] = []
  mask.forEach((word, index) => {
    for (let rest = word; rest !== 0; rest &= rest - 1) ids.push(index * 32 + (31 - Math.clz32(rest & -rest)))
  })
  return ids
}

/** A model that knows nothing: any allowed token, with a wish to end. */
export function randomText(
  matcher: Matcher,
  tokenizer: Tokenizer,
  next: () => number,
  budget: number,
  steered = true,
): { text: string; tokens: number; complete: boolean } {
  const ids: number[] = []
  while (ids.length < budget) {
    const allowed = allowedIds(matcher.mask(steered ? budget - ids.length : undefined))
    if (matcher.isComplete() && (allowed.length === 0 || next() < 0.3)) break
    assert.ok(allowed.length > 0, `dead end after ${tokenizer.decode(ids)}`)
    // Two draws, the one that closes something wins: else random objects grow without end.
    const [a, b] = [allowed[Math.floor(next() * allowed.length)]!, allowed[Math.floor(next() * allowed.length)]!]
    const id = /["\]}]/.test(tokenizer.decode([b])) ? b : a
    assert.ok(matcher.accept(id), `allowed token ${id} refused after ${tokenizer.decode(ids)}`)
    ids.push(id)
  }
  return { text: tokenizer.decode(ids), tokens: ids.length, complete: matcher.isComplete() }
}
