/**
 * The decoders of published tokenizer.json files, reduced to two facts: the bytes of a vocabulary
 * entry, and how many spaces are dropped at the start of a text. So decoding is incremental: the text
 * is the UTF-8 decoding of the bytes of the ids.
 */
import type { Fields } from '../json/fields.ts'
import { unspell } from './byte-level.ts'

export interface Decoder {
  /** The bytes of a vocabulary entry. */
  bytes(entry: string): Uint8Array
  /** How many spaces at the start of a decoded text are dropped. */
  readonly leadingBlanks: number
}

interface Steps {
  byteLevel: boolean
  byteFallback: boolean
  replacements: [from: string, to: string][]
  leadingBlanks: number
}

const utf8 = new TextEncoder()

/** Reads `decoder` of a tokenizer.json. Without one, the entries are concatenated as they are. */
export function decoder(fields: Fields | undefined): Decoder {
  const steps: Steps = { byteLevel: false, byteFallback: false, replacements: [], leadingBlanks: 0 }
  if (fields !== undefined) readStep(fields, steps)
  return {
    leadingBlanks: steps.leadingBlanks,
    bytes(entry) {
      if (steps.byteLevel) return unspell(entry) ?? utf8.encode(entry)
      const fallback = steps.byteFallback ? fallbackByte(entry) : undefined
      if (fallback !== undefined) return Uint8Array.of(fallback)
      return utf8.encode(steps.replacements.reduce((text, [from, to]) => text.replaceAll(from, to), entry))
    },
  }
}

/** The byte of an entry like `<0x0A>`. */
export function fallbackByte(entry: string): number | undefined {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(entry)
  return match === null ? undefined : Number.parseInt(match[1]!, 16)
}

function readStep(fields: Fields, steps: Steps): void {
  const type = fields.string('type')
  switch (type) {
    case 'Sequence':
      for (const step of fields.list('decoders')) readStep(step, steps)
      return
    case 'ByteLevel':
      steps.byteLevel = true
      return
    case 'ByteFallback':
      steps.byteFallback = true
      return
    case 'Fuse':
      return
    case 'Replace':
      steps.replacements.push([
        fields.inner('pattern')?.string('String') ?? fields.expected('pattern', '{"String": …}', undefined),
        fields.string('content'),
      ])
      return
    case 'Strip':
      if (fields.string('content') !== ' ') fields.expected('content', 'a blank', fields.raw('content'))
      if (fields.integer('stop') !== 0) fields.expected('stop', '0', fields.raw('stop'))
      steps.leadingBlanks = fields.integer('start')
      return
    case 'Metaspace': {
      steps.replacements.push([fields.string('replacement', '▁'), ' '])
      const scheme = fields.string('prepend_scheme', fields.flag('add_prefix_space', true) ? 'always' : 'never')
      steps.leadingBlanks = scheme === 'never' ? 0 : 1
      return
    }
    default:
      fields.expected('type', 'one of Sequence, ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace', type)
  }
}
