/**
 * The normalizers of published tokenizer.json files that BPE models use: Unicode normal forms, Prepend,
 * Replace and sequences of them. Each is a function text -> text. An unknown kind is refused with its
 * path in the file.
 */
import type { Fields } from '../json/fields.ts'
import { patternAt } from './pattern.ts'

export type Normalize = (text: string) => string

/** Reads `normalizer` of a tokenizer.json; null means that the text stays as it is. */
export function normalizer(fields: Fields | undefined): Normalize | undefined {
  if (fields === undefined) return undefined
  const type = fields.string('type')
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(type)
    case 'Prepend': {
      const prefix = fields.string('prepend')
      return (text) => (text === '' ? text : prefix + text)
    }
    case 'Replace': {
      const content = fields.string('content')
      const pattern = new RegExp(patternAt(fields, 'pattern'), 'vg')
      return (text) => text.replace(pattern, () => content)
    }
    case 'Sequence': {
      const steps = fields.list('normalizers').map((step) => normalizer(step)!)
      return (text) => steps.reduce((result, step) => step(result), text)
    }
    default:
      return fields.expected('type', `one of NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence`, type)
  }
}
