/**
 * Random sequences of ids through the reader of harmony: no exception, no marker in the output, no lost character. A sequence that
 * openai/harmony's grammar does not allow must be warned of.
 */
import assert from 'node:assert/strict'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import type { ChatEvent } from '../../src/chat/messages.ts'
import { integer, pick, random } from '../../src/random/stream.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { checkEvents } from './events.ts'

const MARKERS = ['start', 'message', 'end', 'channel', 'constrain', 'call', 'return', 'endoftext', 'reserved_200013']
const WORDS = [
  'assistant',
  'user',
  'analysis',
  'final',
  'commentary',
  ' to=',
  'functions.f',
  'json',
  ' code',
  ':',
  '{"a":',
  ' 1}',
  ' hello',
  '\n',
  '💖',
]
/** Whole messages, so that random sequences also come far. */
const PHRASES = [
  '<|channel|>analysis<|message|>',
  '<|channel|>final<|message|>',
  '<|channel|>commentary to=functions.f <|constrain|>json<|message|>',
  '<|channel|>analysis to=functions.f code<|message|>',
  '<|channel|>final to=function.f<|message|>',
  '<|end|><|start|>assistant',
  '<|start|>user<|message|>',
  '<|start|>functions.f to=assistant<|channel|>commentary<|message|>',
]
const TOOLS = [{ name: 'f', parameters: { type: 'object' } }, { name: 'web-browsing' }]

const CHANNEL = '<channel>(?:analysis|final)|<channel>commentary(?: to=functions\\.f)?TYPE| to=functions\\.f<channel>commentaryTYPE'
const TYPE = '(?: ?<constrain>json| json)?'
/** A type or blanks in front of the channel mean nothing, and mislead no one. */
const MESSAGE = `(?:\\s*|\\s*(?:json|code|text)\\s*|\\s*<constrain>\\s*[\\w.+/-]+\\s*)(?:${CHANNEL.replaceAll('TYPE', TYPE)})<message>[^<]*`
const END = '<(?:end|call|return|endoftext)>'
/** Nothing but the beginning of a header: there is no text that a warning could be about. */
const CUT = '(?:assistant|[\ufffd\\s]|<channel>|<constrain>)*'
/** What the grammar allows after `<|start|>assistant`, cut anywhere. */
/** A header without a word in it. */
const EMPTY = '[\\s\ufffd]*(?:assistant:?)?[\\s\ufffd]*'
const WHOLE = `[\\s\ufffd]*(?:assistant:?)?${MESSAGE}`
const LEGAL = new RegExp(
  `^(?:<start>)*(?:(?:${EMPTY}(?:${END})?|${WHOLE}${END})(?:<start>)+)*(?:(?:${EMPTY}|${WHOLE})(?:${END}(?:<call>|<return>|<endoftext>|<start>|<constrain>|\\s)*(?:assistant)?[\\s�]*)?|${CUT})$`,
)

/** @returns how many sequences were read, and how many illegal ones without a warning */
export function randomAnswers(tokenizer: Tokenizer, sequences: number, seed: number): { sequences: number; unwarned: number } {
  const next = random(seed)
  const format = harmonyFormat(tokenizer)
  const prompt = format.render([{ role: 'user', content: 'hi' }], { tools: TOOLS })
  const markers = MARKERS.flatMap((name) => tokenizer.specials.get(`<|${name}|>`) ?? [])
  const words = WORDS.flatMap((word) => tokenizer.encode(word))
  const phrases = PHRASES.map((phrase) => tokenizer.encodeTemplate(phrase))
  const outside = [9552, 201088, 2 ** 31, -1]
  let unwarned = 0
  for (let round = 0; round < sequences; round++) {
    const ids: number[] = []
    while (ids.length === 0 || next() < 0.9) {
      const roll = next()
      if (roll < 0.35) ids.push(pick(next, markers))
      else if (roll < 0.7) ids.push(pick(next, words))
      else if (roll < 0.9) ids.push(...pick(next, phrases))
      else if (roll < 0.93) ids.push(pick(next, outside))
      else ids.push(integer(next, 0, 199997))
    }
    const parser = format.parser(prompt, round % 2 ? { tools: TOOLS } : {})
    const events: ChatEvent[] = []
    let content = ''
    for (const id of ids) {
      if (parser.region !== 'header' && words.includes(id)) content += tokenizer.decode([id])
      events.push(...parser.push(id))
    }
    events.push(...parser.end())
    checkEvents(events)
    const out = events
      .map((event) =>
        event.type === 'text-end' || event.type === 'reasoning-end' ? event.text : event.type === 'tool-call-end' ? event.arguments : '',
      )
      .join('')
    assert.doesNotMatch(out, /<\|\w+\|>/)
    let at = 0
    // The halves of a character of two tokens stand alone in a random sequence.
    for (const char of content.replaceAll('\ufffd', ''))
      assert.ok((at = out.indexOf(char, at) + 1) > 0, `lost ${JSON.stringify(content)} of ${JSON.stringify(ids)} in ${JSON.stringify(out)}`)
    const spelled = ids.map((id) => (markers.includes(id) ? `<${MARKERS[markers.indexOf(id)]}>` : spell(tokenizer, id))).join('')
    if (!LEGAL.test(spelled) && !events.some((event) => event.type === 'warning') && unwarned++ < 5) console.log(spelled)
  }
  return { sequences, unwarned }
}

function spell(tokenizer: Tokenizer, id: number): string {
  try {
    return tokenizer.decode([id]).replaceAll('<', '‹')
  } catch {
    return '\ufffd'
  }
}
