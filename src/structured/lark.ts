/**
 * Reads a grammar in the notation of Lark (github.com/lark-parser/lark, docs/grammar.md): rules, terminals, `%ignore`, and the terminals
 * of `%import common`. The text begins at the rule `start`. Unlike Lark's lexer nothing here takes the longest match: a text is allowed
 * where some way of reading it follows the rules. Templates, priorities, `%declare` and other imports are refused by name.
 */
import { type Expression, either, type Rules } from './expression.ts'
import { MOST_REPEATS, parseGrammar } from './grammar-text.ts'
import { TextReader } from './text-reader.ts'
import { ignoringCase, regexExpression } from './text-regex.ts'

const DEEPEST_GROUP = 50

/** Lark's `common`, in GBNF, under names that a grammar cannot define; its ESCAPED_STRING and comments without the lookbehinds, which describe the same texts. */
const COMMON = parseGrammar(String.raw`
  common-DIGIT ::= [0-9]
  common-HEXDIGIT ::= [0-9a-fA-F]
  common-INT ::= common-DIGIT+
  common-SIGNED_INT ::= [+-]? common-INT
  common-DECIMAL ::= common-INT "." common-INT? | "." common-INT
  common-EXPONENT ::= [eE] common-SIGNED_INT
  common-FLOAT ::= common-INT common-EXPONENT | common-DECIMAL common-EXPONENT?
  common-SIGNED_FLOAT ::= [+-]? common-FLOAT
  common-NUMBER ::= common-FLOAT | common-INT
  common-SIGNED_NUMBER ::= [+-]? common-NUMBER
  common-ESCAPED_STRING ::= "\"" ([^"\\\n] | "\\" [^\n])* "\""
  common-LCASE_LETTER ::= [a-z]
  common-UCASE_LETTER ::= [A-Z]
  common-LETTER ::= [a-zA-Z]
  common-WORD ::= common-LETTER+
  common-CNAME ::= [a-zA-Z_] [a-zA-Z_0-9]*
  common-WS_INLINE ::= [ \t]+
  common-WS ::= [ \t\f\r\n]+
  common-CR ::= "\r"
  common-LF ::= "\n"
  common-NEWLINE ::= ("\r"? "\n")+
  common-SH_COMMENT ::= "#" [^\n]*
  common-CPP_COMMENT ::= "//" [^\n]*
  common-SQL_COMMENT ::= "--" [^\n]*
  common-C_COMMENT ::= "/*" ([^*] | "*"+ [^*/])* "*"+ "/"
`)

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', b: '\b', 0: '\0' }
const BLANK = /[ \t\r]*(?:(?:\/\/|#)[^\n]*)?/y
const NAME = /[!?]*(_?[A-Za-z][A-Za-z_0-9]*)/y
const STRING = /"((?:\\.|[^"\\\n])*)"(i)?/y
const REGEX = /\/((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+)\/([a-z]*)/y
const IMPORT = /%import[ \t]+(\.?[\w.]+)(?:[ \t]*\(([\w\s,]+)\))?(?:[ \t]*->[ \t]*(\w+))?/y
const TIMES = /~[ \t]*(\d{1,6})(?:[ \t]*\.\.[ \t]*(\d{1,6}))?|\{[ \t]*(\d{1,6})?[ \t]*(?:(,)[ \t]*(\d{1,6})?[ \t]*)?\}/y

const isTerminal = (name: string): boolean => /^_?[A-Z]/.test(name)
/** The names of what is ignored, and of a terminal in a rule with what may follow it. Neither is a name that a grammar can define. */
const IGNORED = '%ignore'
const lexeme = (name: string): string => `${name}%`

/** @throws UnsupportedTextError with line and column */
export const parseLark = (text: string): Rules => new Parser(text).parse()

class Parser extends TextReader {
  /** Groups that are open: in them line breaks mean nothing. */
  #depth = 0
  /** The rule that is read is a terminal: nothing is ignored inside it. */
  #inTerminal = false
  readonly #rules = new Map<string, Expression>()
  readonly #ignored: Expression[] = []

  parse(): Rules {
    const ignores = /^[ \t]*%ignore\b/m.test(this.text)
    for (this.#lines(); this.at < this.text.length; this.#lines()) this.#statement(ignores)
    if (!ignores) return { start: 'start', rules: this.#rules }
    this.#rules.set(IGNORED, { repeat: either(this.#ignored), least: 0, most: Number.POSITIVE_INFINITY })
    if (this.#rules.has('start')) this.#rules.set('start%', { sequence: [{ rule: IGNORED }, { rule: 'start' }] })
    return { start: this.#rules.has('start') ? 'start%' : 'start', rules: this.#rules }
  }

  #statement(ignores: boolean): void {
    if (this.text.startsWith('%ignore', this.at)) {
      this.at += '%ignore'.length
      this.#inTerminal = true
      this.#ignored.push(this.#alternatives())
    } else if (this.text.startsWith('%import', this.at)) this.#import()
    else if (this.text[this.at] === '%') this.fail(`"${/%\w*/y.exec(this.text.slice(this.at))![0]}" is not supported`)
    else {
      const name = this.take(NAME)?.[1] ?? this.fail('expected "name: …"')
      this.#blank()
      const next = this.text[this.at]
      if (next === '.') this.fail(`"${name}": priorities are not supported`)
      if (next === '{') this.fail(`"${name}": templates are not supported`)
      if (next === '[') this.fail(`"${name}": attributes of rules are not supported`)
      if (!this.skip(':')) this.fail(`expected ":" after "${name}"`)
      if (this.#rules.has(name)) this.fail(`"${name}" is defined twice`)
      this.#inTerminal = isTerminal(name) || !ignores
      this.#rules.set(name, this.#alternatives())
    }
    this.#blank()
    if (this.at < this.text.length && this.text[this.at] !== '\n') this.fail(`unexpected ${JSON.stringify(this.text[this.at])}`)
  }

  #import(): void {
    const [, path = '', several, alias] = this.take(IMPORT) ?? this.fail('expected "%import common.NAME"')
    const [from, single, ...more] = path.split('.')
    if (from !== 'common' || more.length > 0 || (single === undefined) === (several === undefined) || (several !== undefined && alias))
      this.fail(`"%import ${path}" is not supported; "%import common.NAME" is`)
    const names = several === undefined ? [single!] : several.split(',').map((name) => name.trim())
    for (const name of names) {
      if (!COMMON.rules.has(`common-${name}`) || name === 'EXPONENT') this.fail(`common has no terminal "${name}" here`)
      for (const [part, body] of COMMON.rules) this.#rules.set(part, body)
      this.#rules.set(alias ?? name, { rule: `common-${name}` })
    }
  }

  #alternatives(): Expression {
    if (this.#depth > DEEPEST_GROUP) this.fail(`groups nested deeper than ${DEEPEST_GROUP} are not supported`)
    const branches = [this.#sequence()]
    for (;;) {
      // An alternative may begin on the next line.
      const here = this.at
      this.#lines()
      if (this.skip('|')) branches.push(this.#sequence())
      else {
        if (this.#depth === 0) this.at = here
        return either(branches)
      }
    }
  }

  #sequence(): Expression {
    const sequence: Expression[] = []
    for (;;) {
      if (this.#depth > 0) this.#lines()
      else this.#blank()
      if (this.text.startsWith('->', this.at)) {
        this.at += 2
        this.#blank()
        this.take(NAME) ?? this.fail('expected a name after "->"') // names of branches mean nothing here
        this.#blank()
      }
      const atom = this.#atom()
      if (atom === undefined) return { sequence }
      sequence.push(this.#repeated(atom))
    }
  }

  /** The next symbol, or undefined where the sequence ends. */
  #atom(): Expression | undefined {
    const character = this.text[this.at]
    if (character === undefined || '\n|)]'.includes(character)) {
      if ((character === ')' || character === ']') && this.#depth === 0) this.fail(`"${character}" was not opened`)
      return undefined
    }
    if (character === '(' || character === '[') {
      this.at++
      this.#depth++
      const group = this.#alternatives()
      this.#depth--
      if (!this.skip(character === '(' ? ')' : ']')) this.fail('a group is not closed')
      return character === '(' ? group : { repeat: group, least: 0, most: 1 }
    }
    if (character === '"') return this.#lexeme(this.#literal())
    if (character === '/') return this.#lexeme(this.#regex())
    if (character === '<') this.fail('tokens in a grammar are not supported; write their text')
    const name = this.take(NAME)?.[1]
    if (name === undefined) return this.fail(`unexpected ${JSON.stringify(character)}`)
    if (this.text[this.at] === '{' && !/^\{\s*[\d,]/.test(this.text.slice(this.at, this.at + 9)))
      this.fail(`"${name}": templates are not supported`)
    if (!isTerminal(name) || this.#inTerminal) return { rule: name }
    this.#rules.set(lexeme(name), this.#lexeme({ rule: name }))
    return { rule: lexeme(name) }
  }

  /** In a rule what is ignored may follow. */
  #lexeme(expression: Expression): Expression {
    return this.#inTerminal ? expression : { sequence: [expression, { rule: IGNORED }] }
  }

  #repeated(atom: Expression): Expression {
    let [least, most] = [0, Number.POSITIVE_INFINITY]
    this.#blank()
    const times = this.take(TIMES)
    if (times) {
      const [, exact, last, first, comma, end] = times
      least = Number(exact ?? first ?? 0)
      most = exact !== undefined ? Number(last ?? exact) : comma === undefined ? least : end === undefined ? most : Number(end)
      if (most < least || (exact ?? first ?? end) === undefined) this.fail('this number of repetitions is not possible')
      if (Math.max(least, Number.isFinite(most) ? most : 0) > MOST_REPEATS)
        this.fail(`more than ${MOST_REPEATS} repetitions are not supported`)
    } else if (this.skip('?')) most = 1
    else if (this.skip('+')) least = 1
    else if (!this.skip('*')) return atom
    return this.#repeated({ repeat: atom, least, most })
  }

  /** A text, or the characters from one text to another. */
  #literal(): Expression {
    const [first, insensitive] = this.#string()
    if (!this.text.startsWith('..', this.at)) return insensitive ? ignoringCase({ texts: [first] }) : { texts: [first] }
    this.at += 2
    const [last] = this.#string()
    const [low, high] = [first, last].map((text) =>
      [...text].length === 1 ? text.codePointAt(0)! : this.fail('a range goes from one character to another'),
    )
    if (high! < low!) this.fail('this range of characters is backwards')
    return { set: [[low!, high!]] }
  }

  #string(): [text: string, insensitive: boolean] {
    const [, body = '', flag] = this.take(STRING) ?? this.fail('a text is not closed')
    const text = body.replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/g, (_, x, u, U, other: string) => {
      if (other === undefined) return this.#code(Number.parseInt(x ?? u ?? U, 16))
      if (Object.hasOwn(ESCAPES, other)) return ESCAPES[other]!
      return /[A-Za-z0-9]/.test(other) ? this.fail(`the escape "\\${other}" is not supported`) : other
    })
    return [text, flag !== undefined]
  }

  #code(code: number): string {
    return code > 0x10ffff ? this.fail('this is no character') : String.fromCodePoint(code)
  }

  #regex(): Expression {
    const [, source = '', flags = ''] = this.take(REGEX) ?? this.fail('an expression is not closed')
    const other = /[^isu]/.exec(flags)?.[0]
    if (other !== undefined) this.fail(`the flag "${other}" of an expression is not supported`)
    try {
      const expression = regexExpression(source, flags.includes('s'))
      return flags.includes('i') ? ignoringCase(expression) : expression
    } catch (error) {
      if (error instanceof SyntaxError) this.fail(error.message)
      throw error
    }
  }

  /** Spaces and a comment. */
  #blank(): void {
    this.take(BLANK)
  }

  /** The same over lines. */
  #lines(): void {
    do this.#blank()
    while (this.skip('\n'))
  }
}
