/**
 * The pre-tokenizers of published tokenizer.json files that BPE models use. They split a text into
 * pieces; merges never cross a border between pieces. A pre-tokenizer passes each piece to `visit`, in
 * order, so the stages of a sequence are chained without building lists.
 */
import type { Fields } from '../json/fields.ts'
import { patternAt, translatePattern } from './pattern.ts'

/** @param atStart whether the piece begins the text (some stages then put a space in front of it). */
export type Stage = (text: string, atStart: boolean, visit: (piece: string, atStart: boolean) => void) => void

export interface PreTokenizer {
  readonly stage: Stage
  /** Whether the vocabulary is spelled byte by byte (see byte-level.ts). */
  readonly byteLevel: boolean
}

/** GPT-2's splitting expression. The ByteLevel stage applies it unless `use_regex` is false. */
export const gpt2Pattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

/** Reads `pre_tokenizer` of a tokenizer.json; null means one piece. */
export function preTokenizer(fields: Fields | undefined): PreTokenizer {
  if (fields === undefined) return { stage: (text, atStart, visit) => visit(text, atStart), byteLevel: false }
  const type = fields.string('type')
  switch (type) {
    case 'Sequence': {
      const parts = fields.list('pretokenizers').map((part) => preTokenizer(part))
      const late = parts.findIndex((part) => part.byteLevel)
      if (late !== -1 && late !== parts.length - 1)
        return fields.expected('pretokenizers', 'ByteLevel as the last stage', `stages after number ${late}`)
      return { stage: chain(parts.map((part) => part.stage)), byteLevel: late !== -1 }
    }
    case 'Split': {
      if (fields.flag('invert', false)) return fields.expected('invert', 'false', true)
      return { stage: split(patternAt(fields, 'pattern'), behaviour(fields)), byteLevel: false }
    }
    case 'ByteLevel': {
      const stages: Stage[] = []
      if (fields.flag('add_prefix_space', true))
        stages.push((text, atStart, visit) => visit(text.startsWith(' ') ? text : ' ' + text, atStart))
      if (fields.flag('use_regex', true)) stages.push(split(translatePattern(gpt2Pattern), 'Isolated'))
      return { stage: chain(stages), byteLevel: true }
    }
    case 'Digits':
      return {
        stage: split(translatePattern(fields.flag('individual_digits', false) ? String.raw`\p{N}` : String.raw`\p{N}+`), 'Isolated'),
        byteLevel: false,
      }
    case 'Metaspace':
      return { stage: metaspace(fields), byteLevel: false }
    default:
      return fields.expected('type', 'one of Sequence, Split, ByteLevel, Digits, Metaspace', type)
  }
}

function chain(stages: readonly Stage[]): Stage {
  if (stages.length === 1) return stages[0]!
  const run = (index: number, text: string, atStart: boolean, visit: (piece: string, atStart: boolean) => void): void => {
    if (index === stages.length) visit(text, atStart)
    else stages[index]!(text, atStart, (piece, start) => run(index + 1, piece, start, visit))
  }
  return (text, atStart, visit) => run(0, text, atStart, visit)
}

/** What happens to a match: it becomes a piece, is dropped, or joins a neighbour. */
type Behaviour = 'Isolated' | 'Removed' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous'
const behaviours: readonly string[] = ['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']

function behaviour(fields: Fields): Behaviour {
  const name = fields.string('behavior')
  return behaviours.includes(name) ? (name as Behaviour) : fields.expected('behavior', `one of ${behaviours.join(', ')}`, name)
}

/** @param pattern sticky; the text between two matches is a piece too */
function split(pattern: RegExp, behaviour: Behaviour): Stage {
  return (text, atStart, visit) => {
    const emit = (from: number, to: number) => visit(text.slice(from, to), atStart && from === 0)
    let from = 0 // start of the piece that is still open
    let openIsMatch = false
    const part = (start: number, end: number, isMatch: boolean) => {
      if (behaviour === 'Removed') {
        if (!isMatch) emit(start, end)
        from = end
        return
      }
      const joins =
        (behaviour === 'MergedWithPrevious' && isMatch && !openIsMatch) ||
        (behaviour === 'MergedWithNext' && openIsMatch && !isMatch) ||
        (behaviour === 'Contiguous' && openIsMatch === isMatch)
      if (from < start && !joins) {
        emit(from, start)
        from = start
      }
      openIsMatch = isMatch
    }
    let gap = 0 // end of the last match
    for (let at = 0; at < text.length; ) {
      pattern.lastIndex = at
      const end = pattern.test(text) ? pattern.lastIndex : at
      if (end === at) {
        at += text.codePointAt(at)! > 0xffff ? 2 : 1
        continue
      }
      if (gap < at) part(gap, at, false)
      if (behaviour === 'Isolated') {
        if (from < at) emit(from, at)
        emit(at, end)
        from = end
      } else part(at, end, true)
      at = gap = end
    }
    if (gap < text.length) part(gap, text.length, false)
    if (from < text.length) emit(from, text.length)
  }
}

/** SentencePiece's spaces: every space becomes ▁, one is prepended, and the text may be split before each ▁. */
function metaspace(fields: Fields): Stage {
  const replacement = fields.string('replacement', '▁')
  const scheme = fields.string('prepend_scheme', fields.flag('add_prefix_space', true) ? 'always' : 'never')
  if (!['always', 'first', 'never'].includes(scheme)) return fields.expected('prepend_scheme', 'always, first or never', scheme)
  const cut = fields.flag('split', true)
  return (text, atStart, visit) => {
    const spelled = text.replaceAll(' ', replacement)
    const prefix = (scheme === 'always' || (scheme === 'first' && atStart)) && !spelled.startsWith(replacement)
    const whole = prefix ? replacement + spelled : spelled
    if (!cut) return visit(whole, atStart)
    let from = 0
    for (let at = whole.indexOf(replacement, 1); at !== -1; at = whole.indexOf(replacement, at + 1)) {
      visit(whole.slice(from, at), atStart && from === 0)
      from = at
    }
    visit(whole.slice(from), atStart && from === 0)
  }
}
