/**
 * Enforces the rules of one answer: a schema on the final text, a forced tool, strict arguments, a reasoning budget, how many calls.
 * It says before each id which ids are allowed, and after it which ids must follow. Constraints bind only where the parser says that
 * the answer or the arguments are being written; reasoning stays free. Knows regions and forced ids, no format's markup.
 */
import type { ChatEvent, ChatFormat, ChatParser, Region } from '../chat/messages.ts'
import type { Constraint, Matcher } from '../structured/structured.ts'
import { endsInsideCharacter } from '../tokenizer/text-stream.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { type Candidate, Choice } from './choice.ts'
import { isOver, maskOf, maskWithStops, type TokenMask, union } from './token-mask.ts'

/** What is enforced in an answer. */
export interface Rules {
  /** The final text follows this. */
  text?: Constraint
  /** The answer is a call of one of these tools; of several calls, if `several`. Each has a constraint in `arguments`. */
  forcedCalls?: { names: readonly string[]; several: boolean }
  /** false: the answer ends after its first call. true: it goes on after a call, also where the format would stop. */
  parallel?: boolean
  /** Tools that the model may call instead of answering, under `text`. */
  callable: readonly string[]
  /** Constraints of arguments by tool: of forced and of strict tools. */
  arguments: ReadonlyMap<string, Constraint>
  /** Whether the model may reason first. */
  thinking: boolean
  reasoningBudget: number
}

type Turn = { to: 'text' } | { to: 'call'; tool: string } | { to: 'end' }

type Stage =
  /** The model writes as it likes. */
  | { at: 'free' }
  /** Its next id opens the reasoning, or is the first of a call, or the first of the text. */
  | { at: 'either'; openers: readonly number[]; choice: Choice<Turn> | undefined; matcher: Matcher | undefined }
  | { at: 'choosing'; choice: Choice<Turn> }
  | { at: 'text'; matcher: Matcher }
  | { at: 'arguments'; matcher: Matcher }
  /** The arguments are complete and the ids that end the call are written. */
  | { at: 'called'; endIds: readonly number[] }
  | { at: 'end' }

/** Ids of the longest header, the name of a tool apart, that a model may write under rules before it is told what to write. */
const LONGEST_FREE_HEADER = 48
const MOST_FREE_HEADERS = 4
const MOST_CALLS = 16
const BYTES_PER_CHARACTER = 4
/** Reasoning at the end of its budget may write so many ids more to finish a character. */
const MOST_FINISHING = BYTES_PER_CHARACTER - 1

export class Guide {
  /** Whether the reasoning was cut by its budget. */
  budgetSpent = false
  readonly #format: ChatFormat
  readonly #tokenizer: Tokenizer
  readonly #parser: ChatParser
  readonly #rules: Rules
  readonly #bound: boolean
  readonly #longestHeader: number
  #budget: number
  #stage: Stage = { at: 'free' }
  #reasoned: boolean
  #headerIds = 0
  #freeHeaders = 0
  #reasoningIds = 0
  /** The last ids of the reasoning, enough for one character. */
  #recent: number[] = []
  #calls = 0
  #callIsOpen = false
  /** The format would stop after the call that just ended; the next forced ids lead past it. */
  #goesOn = false
  #sanctionedCall = false
  #answering = false
  /** While a half-written header is being closed by force, a tool call that it seems to start is ignored. */
  #abandoning = false
  /** What the format writes between its reasoning and the answer. */
  #separator: readonly number[] = []

  /** @param probe makes parsers in the state in which the prompt leaves the model */
  constructor(format: ChatFormat, tokenizer: Tokenizer, parser: ChatParser, probe: () => ChatParser, rules: Rules) {
    this.#format = format
    this.#tokenizer = tokenizer
    this.#parser = parser
    this.#rules = rules
    this.#budget = rules.reasoningBudget
    this.#bound = rules.text !== undefined || rules.forcedCalls !== undefined
    this.#longestHeader = LONGEST_FREE_HEADER + Math.max(0, ...rules.callable.map((name) => new TextEncoder().encode(name).length))
    this.#reasoned = !rules.thinking || format.capabilities.reasoning === 'never'
    if (this.#bound && parser.region === 'reasoning') this.#learnSeparator()
    if (this.#bound && !this.#reasoned && parser.region !== 'reasoning') {
      const openers = reasoningOpeners(format, tokenizer, probe)
      if (openers.length > 0) this.#stage = this.#either(openers)
    }
  }

  /** Whether the answer must be a document or a call. */
  get isBound(): boolean {
    return this.#bound
  }

  /** Whether text that the parser hands out now belongs to the answer. */
  get showsText(): boolean {
    return !this.#bound || this.#answering
  }

  /** Whether a call that the parser starts now was asked for. */
  get showsCall(): boolean {
    return !this.#abandoning && (this.#rules.forcedCalls === undefined || this.#sanctionedCall)
  }

  /** The reasoning that runs ends with its next id, as if its budget were spent. */
  endReasoning(): void {
    this.#budget = 0
  }

  /** Whether the answer is over, whatever the model would like to add. */
  get isOver(): boolean {
    return this.#stage.at === 'end'
  }

  /** Whether everything that was asked for is there; an answer that ends otherwise is incomplete. */
  get isSatisfied(): boolean {
    return (
      !this.#bound || this.#calls > 0 || (this.#stage.at === 'text' ? this.#stage.matcher.isComplete() : this.#answering && this.isOver)
    )
  }

  /**
   * The ids that may be drawn now; undefined: all.
   * @param tokensLeft so many may still come, the next one included: documents are steered to an end that fits
   */
  mask(tokensLeft: number): TokenMask | undefined {
    const stage = this.#stage
    switch (stage.at) {
      case 'either':
        return [stage.choice?.mask(), stage.matcher?.mask(tokensLeft)].reduce<TokenMask>(
          (all, mask) => (mask ? union(all, mask) : all),
          maskOf(stage.openers),
        )
      case 'choosing':
        return stage.choice.mask()
      case 'text':
        return maskWithStops(stage.matcher, this.#format.stopIds, tokensLeft)
      case 'arguments':
        return stage.matcher.mask(tokensLeft - this.#parser.force.endToolCall().length)
      default:
        return this.#freeMask()
    }
  }

  /**
   * Learns of an id that the model drew, after the parser was given it.
   * @param before region before the id
   * @param events what the parser made of the id
   */
  drew(id: number, before: Region, events: readonly ChatEvent[]): void {
    const stage = this.#stage
    const isStop = this.#format.stopIds.includes(id)
    if (stage.at === 'either') {
      this.#reasoned = !stage.openers.includes(id)
      if (!this.#reasoned) this.#stage = { at: 'free' }
      else if (stage.choice?.accept(id)) this.#stage = { at: 'choosing', choice: stage.choice }
      else if (stage.matcher?.accept(id)) {
        this.#stage = { at: 'text', matcher: stage.matcher }
        this.#answering = true
      } else throw forbidden(id)
    } else if (stage.at === 'choosing') {
      if (!stage.choice.accept(id)) throw forbidden(id)
    } else if (stage.at === 'text' || stage.at === 'arguments') {
      if (isStop && stage.at === 'text' && stage.matcher.isComplete()) this.#stage = { at: 'end' }
      else if (!stage.matcher.accept(id)) throw forbidden(id)
    } else this.#drewFreely(id, before, events, isStop)
  }

  /** Ids that must follow now. Push them through the parser, too, and ask again until there are none. */
  forced(): readonly number[] {
    const stage = this.#stage
    this.#abandoning = false
    switch (stage.at) {
      case 'choosing': {
        const decision = stage.choice.decision()
        return decision ? this.#decide(decision) : stage.choice.shared()
      }
      case 'text':
        if (isOver(stage.matcher)) this.#stage = { at: 'end' }
        return []
      case 'arguments': {
        this.#sanctionedCall = true // only now: the ids that led here may have closed a call that was not asked for
        if (!stage.matcher.isComplete()) return []
        this.#calls++
        const endIds = this.#parser.force.endToolCall()
        this.#stage = { at: 'called', endIds }
        return endIds.length > 0 ? endIds : this.forced()
      }
      case 'called':
        return this.#afterCall(stage.endIds)
      case 'free':
        return this.#steer()
      default:
        return []
    }
  }

  #freeMask(): TokenMask | undefined {
    if (this.#parser.region !== 'tool-call' || this.#rules.arguments.size === 0 || this.#callIsOpen) return undefined
    // Until the parser names the tool, only what begins any arguments may be written.
    const brace = this.#tokenizer.encode('{')
    return brace.length === 1 ? maskOf(brace) : undefined
  }

  #drewFreely(id: number, before: Region, events: readonly ChatEvent[], isStop: boolean): void {
    const { region } = this.#parser
    const ended = (type: ChatEvent['type']) => events.some((event) => event.type === type)
    const endedPart = ended('reasoning-end') || ended('text-end')
    if (before === 'reasoning') {
      this.#reasoningIds++
      this.#recent = [...this.#recent.slice(1 - BYTES_PER_CHARACTER), id]
    }
    if (endedPart) this.#reasoned = true
    if (this.#bound && before !== 'reasoning' && region === 'reasoning') this.#learnSeparator()
    this.#headerIds = before === 'header' && region === 'header' && !endedPart && !isStop ? this.#headerIds + 1 : 0
    const started = startedCall(events)
    if (started !== undefined) {
      this.#callIsOpen = true
      const matcher = region === 'tool-call' ? this.#rules.arguments.get(started.tool)?.matcher() : undefined
      // The matcher counts bytes, so any ids of the same text bring it to the same place.
      if (matcher && this.#tokenizer.encode(started.written).every((each) => matcher.accept(each)))
        this.#stage = { at: 'arguments', matcher }
    }
    const endedCall = this.#callIsOpen && (ended('tool-call-end') || (before === 'tool-call' && (isStop || region !== 'tool-call')))
    if (endedCall) {
      this.#calls++
      this.#callIsOpen = false
      if (this.#goesOnAfter(id)) return
      if (this.#rules.parallel === false) this.#stage = { at: 'end' }
    }
    if (!isStop && !this.#parser.isOver) return
    // Under rules an early end is only the end of a message; what was asked for follows.
    this.#reasoned = true
    this.#separator = []
    if (!this.#bound || this.#calls > 0) this.#stage = { at: 'end' }
  }

  /** Whether the answer goes on after a call although this id, which ended the call, would end it. */
  #goesOnAfter(id: number | undefined): boolean {
    const stops = id !== undefined && this.#format.stopIds.includes(id) && this.#parser.force.endToolCall().includes(id)
    this.#goesOn = stops && this.#rules.parallel === true && this.#calls < MOST_CALLS
    return this.#goesOn
  }

  #steer(): readonly number[] {
    const { region, force, begunCall } = this.#parser
    // A call that the model began in a syntax of tags takes its arguments in JSON, which a mask can hold to the schema.
    if (begunCall !== undefined && !this.#callIsOpen && this.#rules.arguments.has(begunCall))
      return this.#decide({ ids: force.toolCall(begunCall), value: { to: 'call', tool: begunCall } })
    if (this.#goesOn) {
      this.#goesOn = false
      return force.endReasoning()
    }
    if (region === 'reasoning' && !this.#parser.isOver) {
      const finishing = this.#reasoningIds < this.#budget + MOST_FINISHING && this.#isInsideCharacter()
      if (this.#reasoningIds < this.#budget || finishing) return []
      if (this.budgetSpent) return force.text() // it began to think again
      this.budgetSpent = true
      this.#reasoned = true
      return force.endReasoning()
    }
    if (!this.#bound || this.#calls > 0 || this.#callIsOpen) return []
    // Between two messages there is a header to begin; in the middle of one there is not.
    const header = region === 'header' || this.#parser.isOver ? force.endReasoning() : []
    if (header.length > 0) this.#reasoned = true
    if (region === 'header' && !this.#reasoned && this.#headerIds <= this.#longestHeader) return []
    const { text, callable } = this.#rules
    if (region === 'text' && this.#separator.length > 0) {
      const separator = this.#separator
      this.#separator = []
      return separator
    }
    if (!text) {
      this.#stage = { at: 'choosing', choice: new Choice(this.#calling(this.#rules.forcedCalls!.names)) }
      return this.forced()
    }
    if (region === 'text') {
      this.#answering = callable.length === 0
      this.#stage = callable.length > 0 ? this.#either([]) : { at: 'text', matcher: text.matcher() }
      return this.forced()
    }
    if (callable.length > 0) {
      if (region === 'tool-call' || region === 'commentary') return []
      if (header.length > 0 && this.#freeHeaders < MOST_FREE_HEADERS) {
        // The model chooses between an answer and a call in its own words, but within a header, where nothing can become visible text.
        this.#freeHeaders++
        this.#headerIds = 0
        return header
      }
      if (header.length === 0 && this.#headerIds <= this.#longestHeader) return []
    }
    this.#abandoning = region === 'header'
    return force.text()
  }

  #isInsideCharacter(): boolean {
    return endsInsideCharacter(Uint8Array.from(this.#recent.flatMap((id) => [...this.#tokenizer.bytes(id)])))
  }

  /** The plain ids with which a forced end of the reasoning would close. */
  #learnSeparator(): void {
    const ids = this.#parser.force.text()
    this.#separator = ids.slice(ids.findLastIndex((id) => this.#tokenizer.isSpecial(id)) + 1)
  }

  #decide({ ids, value }: Candidate<Turn>): readonly number[] {
    this.#reasoned = true
    if (value.to === 'end') this.#stage = { at: 'end' }
    else if (value.to === 'call') {
      const constraint = this.#rules.arguments.get(value.tool)
      this.#callIsOpen = true
      this.#stage = constraint ? { at: 'arguments', matcher: constraint.matcher() } : { at: 'free' }
    } else {
      this.#answering = true
      this.#stage = { at: 'text', matcher: this.#rules.text!.matcher() }
    }
    return ids
  }

  #afterCall(endIds: readonly number[]): readonly number[] {
    const { forcedCalls, parallel } = this.#rules
    const ends = this.#format.stopIds
    this.#callIsOpen = false
    if ((!forcedCalls || forcedCalls.several) && this.#goesOnAfter(endIds.at(-1))) {
      this.#stage = { at: 'free' }
      return this.forced()
    }
    if (forcedCalls?.several && this.#format.capabilities.parallelToolCalls && this.#calls < MOST_CALLS) {
      const end = ends.map((id): Candidate<Turn> => ({ ids: [id], value: { to: 'end' } }))
      this.#stage = { at: 'choosing', choice: new Choice<Turn>([...end, ...this.#calling(forcedCalls.names)]) }
    } else this.#stage = forcedCalls || parallel === false || ends.includes(endIds.at(-1) ?? -1) ? { at: 'end' } : { at: 'free' }
    return []
  }

  #either(openers: readonly number[]): Stage {
    const { text, forcedCalls, callable } = this.#rules
    const names = forcedCalls?.names ?? callable
    return { at: 'either', openers, choice: names.length > 0 ? new Choice(this.#calling(names)) : undefined, matcher: text?.matcher() }
  }

  #calling(names: readonly string[]): Candidate<Turn>[] {
    return names.map((tool) => ({ ids: this.#parser.force.toolCall(tool), value: { to: 'call', tool } }))
  }
}

/** The call that these events begin, with what they tell of its arguments. */
function startedCall(events: readonly ChatEvent[]): { tool: string; written: string } | undefined {
  const start = events.findLastIndex((event) => event.type === 'tool-call-start')
  if (start < 0) return undefined
  const written = events.slice(start).map((event) => (event.type === 'tool-call-delta' ? event.argumentsDelta : ''))
  return { tool: (events[start] as { name: string }).name, written: written.join('') }
}

const forbidden = (id: number) => new RangeError(`token ${id} was drawn although the mask forbade it`)

const knownOpeners = new WeakMap<ChatFormat, Map<Region, readonly number[]>>()

/** The special ids that open the reasoning at once from the state the prompt leaves, found by trying them. */
function reasoningOpeners(format: ChatFormat, tokenizer: Tokenizer, probe: () => ChatParser): readonly number[] {
  const { region } = probe()
  let known = knownOpeners.get(format)
  if (!known) knownOpeners.set(format, (known = new Map()))
  let openers = known.get(region)
  if (!openers) {
    openers = [...tokenizer.specials.values()].filter((id) => {
      const parser = probe()
      parser.push(id)
      return parser.region === 'reasoning'
    })
    known.set(region, openers)
  }
  return openers
}
