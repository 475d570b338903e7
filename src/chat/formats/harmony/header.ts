/**
 * Reading the header of a harmony message as models really write it: recipient in either place, repeated channels, missing blanks,
 * rubbish around names. It always finds a reading; what it had to guess or ignore, it reports.
 */
import type { WarningCode } from '../../messages.ts'
import type { HarmonyMessage } from './message.ts'

/** A stretch of header text and the marker in front of it, if any. */
export interface HeaderSegment {
  marker: 'channel' | 'constrain' | undefined
  text: string
}

export interface Header extends Omit<HarmonyMessage, 'content'> {
  /** What belongs nowhere, as written. If the header was never finished, it is the message. */
  rest: string
  warnings: { code: WarningCode; message: string }[]
}

const channels = ['analysis', 'commentary', 'final']
const contentTypes = ['json', 'code', 'text']
const roles = ['user', 'assistant', 'system', 'developer', 'tool'] as const

/**
 * @param role of the message, if the prompt has fixed it; otherwise the first word is the role or a tool's name.
 * @param finished whether the header's end was seen; if not, only what stands in its proper place is read as a header.
 */
export function readHeader(segments: readonly HeaderSegment[], role: HarmonyMessage['role'] | undefined, finished: boolean): Header {
  const header: Header = { role: role ?? 'assistant', rest: '', warnings: [] }
  const warn = (code: WarningCode, message: string) => header.warnings.push({ code, message })
  const rest: string[] = []

  segments.forEach(({ marker, text }, i) => {
    let free = text
    if (marker === 'channel') free = readChannel(header, text, finished, warn)
    else if (marker === 'constrain') {
      const [whole, type] = firstWord(text, finished, contentTypes)
      if (!/^[\w.+/-]+$/.test(type)) warn('malformed-header', `the marker of a type is followed by ${JSON.stringify(type)}`)
      if (finished || whole !== '') header.contentType = `<|constrain|>${type}`
      free = text.slice(whole.length)
    } else if (i === 0) free = readAuthor(header, text, role, warn)
    const recipient = finished ? /(?:^|\s)to=\s*(\S*)/g : /^\s*to=([\w.-]*)/g
    free = free.replace(recipient, (_, name: string) => {
      if (header.recipient !== undefined && header.recipient !== name)
        warn('malformed-header', `another recipient after ${JSON.stringify(header.recipient)}; the last one counts`)
      header.recipient = name
      return ''
    })
    free = free.trimStart()
    if (free !== '') rest.push(free)
  })

  header.rest = rest.join(' ')
  if (finished) readRest(header, warn)
  // Recipients that are no tools count as none.
  if (!header.recipient || header.recipient === 'all' || (header.role === 'assistant' && /^(assistant|user)$/.test(header.recipient)))
    delete header.recipient
  const ignored = header.recipient !== undefined && header.role === 'assistant' && (!finished || header.channel === 'final')
  if (ignored) {
    const where = finished ? 'on the channel final' : 'of a header that never ended'
    warn('malformed-header', `ignored the recipient ${JSON.stringify(header.recipient)} ${where}`)
    delete header.recipient
  }
  const guessed = header.warnings.some(({ code }) => code === 'missing-channel' || code === 'unknown-channel')
  if (header.role === 'assistant' && !header.channel && !header.recipient && !guessed)
    warn('missing-channel', 'a message without a channel; read as final')
  return header
}

type Warn = (code: WarningCode, message: string) => void

/** Takes role and name from the beginning of the text and returns what follows them. */
function readAuthor(header: Header, text: string, role: HarmonyMessage['role'] | undefined, warn: Warn): string {
  const [whole, word] = /^\s*(\S*)/.exec(text) as unknown as [string, string]
  if (word === role) return text.slice(whole.length)
  if (role !== undefined || word === '' || word.startsWith('to=')) return text
  const [name, speaker] = word.split(/:(.*)/s) as [string, string | undefined]
  const known = roles.find((candidate) => candidate === name)
  if (known !== undefined) {
    header.role = known
    if (speaker) header.name = speaker
  } else if (word.includes('.') || word === 'python' || /\sto=/.test(text)) {
    header.role = 'tool'
    header.name = word
  } else if (word.startsWith('assistant')) return text.trimStart().slice('assistant'.length)
  else {
    warn('unknown-role', `${JSON.stringify(word)} is no role; read as assistant`)
    return text
  }
  return text.slice(whole.length)
}

/**
 * The first word of a text, with the blanks before it. Without the header's end nothing shows where a word ends and the message
 * begins. Then only a known word counts, and what follows it at once is the message: "finalHello".
 */
function firstWord(text: string, finished: boolean, known: readonly string[]): [whole: string, word: string] {
  const [whole, blanks, word] = /^(\s*)(\S*)/.exec(text) as unknown as [string, string, string]
  if (finished) return [whole, word]
  const found = known.find((candidate) => word.startsWith(candidate))
  return found === undefined ? ['', word] : [blanks + found, found]
}

/** Takes the channel from the beginning of the text and returns what follows it. */
function readChannel(header: Header, text: string, finished: boolean, warn: Warn): string {
  if (header.channel !== undefined) warn('repeated-channel', `another channel after ${JSON.stringify(header.channel)}; the last one counts`)
  const [whole, word] = firstWord(text, finished, channels)
  const known = channels.find((channel) => (finished ? word.includes(channel) : word === channel))
  if (known !== undefined) {
    header.channel = known
    if (known !== word) warn('malformed-header', `channel ${JSON.stringify(word)} read as ${known}`)
  } else if (word === '' || word.startsWith('to=')) {
    warn('missing-channel', 'the channel marker is followed by no channel')
    return text
  } else {
    warn('unknown-channel', `channel ${JSON.stringify(word)} is none of ${channels.join(', ')}`)
    return text
  }
  return text.slice(whole.length)
}

/** The words that are neither author, channel nor addressed with `to=`: a content type, a recipient, or nothing known. */
function readRest(header: Header, warn: Warn): void {
  const words = header.rest.split(/\s+/).filter((word) => word !== '')
  if (header.contentType === undefined && contentTypes.includes(words.at(-1)!)) header.contentType = words.pop()!
  if (header.recipient === undefined && words.length === 1 && /^(functions|browser)\.|^python$/.test(words[0]!))
    header.recipient = words.pop()!
  header.rest = words.join(' ')
  if (words.length > 0) warn('malformed-header', `ignored ${JSON.stringify(header.rest)} in a message header`)
}
