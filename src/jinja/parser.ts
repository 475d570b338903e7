/** Tokens -> syntax tree, by the grammar of jinja2's parser; each method is one rule, from the weakest binding to the strongest. */
import { type Token, tokenize } from './lexer.ts'
import { TemplateError } from './limits.ts'
import type { Arguments, Expression, Parameter, Statement, Target } from './nodes.ts'

/** Expressions and statements inside each other; reading them is recursive. */
const DEEPEST = 150
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']

export function parse(template: string): Statement[] {
  return new Parser(tokenize(template)).template()
}

class Parser {
  readonly #tokens: Token[]
  #at = 0
  #depth = 0
  #loops = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  template(): Statement[] {
    const body = this.#statements([])
    if (this.#token.type !== 'eof') this.#fail(`unexpected '${this.#token.text}'`)
    return body
  }

  // ---------------------------------------------------------------- tokens

  get #token(): Token {
    return this.#tokens[this.#at]!
  }

  #next(): Token {
    const token = this.#token
    if (token.type !== 'eof') this.#at++
    return token
  }

  #is(type: string, text?: string): boolean {
    return this.#token.type === type && (text === undefined || this.#token.text === text)
  }

  #isName(...names: string[]): boolean {
    return this.#token.type === 'name' && names.includes(this.#token.text)
  }

  #skip(type: string, text?: string): boolean {
    const found = this.#is(type, text)
    if (found) this.#at++
    return found
  }

  #expect(type: string, text?: string): Token {
    if (!this.#is(type, text)) {
      const came = this.#token.type === 'eof' ? 'end of template' : this.#token.type === 'end' ? 'end of tag' : `'${this.#token.text}'`
      this.#fail(`expected ${text ?? type}, got ${came}`)
    }
    return this.#next()
  }

  #fail(message: string): never {
    throw new TemplateError(`line ${this.#token.line}: ${message}`)
  }

  #nested<T>(rule: () => T): T {
    if (++this.#depth > DEEPEST) this.#fail(`nested deeper than ${DEEPEST} levels`)
    const result = rule()
    this.#depth--
    return result
  }

  // ---------------------------------------------------------------- statements

  /** Statements up to a tag of one of these names, whose name is the current token then. */
  #statements(ends: readonly string[]): Statement[] {
    const body: Statement[] = []
    while (this.#token.type !== 'eof') {
      const { type, text } = this.#next()
      if (type === 'data') body.push({ kind: 'data', text })
      else if (text === '{') {
        body.push({ kind: 'output', of: this.#tuple() })
        this.#expect('end', '{')
      } else {
        if (this.#isName(...ends)) return body
        body.push(...this.#nested(() => this.#statement()))
        this.#expect('end', '%')
      }
    }
    if (ends.length > 0) this.#fail(`unexpected end of template; expected ${ends.join(' or ')}`)
    return body
  }

  /** The rest of an opening tag, the statements, and the name of the tag that ends them. */
  #body(...ends: string[]): Statement[] {
    this.#skip(':')
    this.#expect('end', '%')
    return this.#statements(ends)
  }

  #closedBody(end: string): Statement[] {
    const body = this.#body(end)
    this.#next()
    return body
  }

  #statement(): Statement[] {
    const name = this.#expect('name').text
    switch (name) {
      case 'set':
        return [this.#set()]
      case 'if':
        return [this.#if()]
      case 'for':
        return [this.#for()]
      case 'macro': {
        const macro = this.#expect('name').text
        const parameters = this.#parameters()
        return [{ kind: 'macro', name: macro, parameters, body: this.#closedBody('endmacro') }]
      }
      case 'call': {
        const parameters = this.#is('(') ? this.#parameters() : []
        const call = this.#expression()
        if (call.kind !== 'call') this.#fail('expected call')
        return [{ kind: 'call-block', parameters, call, body: this.#closedBody('endcall') }]
      }
      case 'filter': {
        const filter = this.#filters(this.#filter(undefined))!
        return [{ kind: 'filter-block', filter, body: this.#closedBody('endfilter') }]
      }
      case 'with':
        return [this.#with()]
      case 'print': {
        const items = [this.#expression()]
        while (this.#skip(',')) items.push(this.#expression())
        return items.map((of) => ({ kind: 'output', of }))
      }
      case 'generation':
        return [{ kind: 'scope', body: this.#closedBody('endgeneration') }]
      case 'block': {
        const block = this.#expect('name').text
        for (const word of ['scoped', 'required']) this.#skip('name', word)
        const body = this.#closedBody('endblock')
        this.#skip('name', block)
        return [{ kind: 'scope', body }]
      }
      case 'break':
      case 'continue':
        if (this.#loops === 0) this.#fail(`'${name}' outside of a loop`)
        return [{ kind: name }]
      default:
        return this.#fail(`the tag '${name}' is not known; chat templates have no other templates to include`)
    }
  }

  #set(): Statement {
    const target = this.#target([], true)
    if (this.#skip('=')) return { kind: 'set', target, value: this.#tuple() }
    const filter = this.#filters(undefined)
    return { kind: 'set-block', target, filter, body: this.#closedBody('endset') }
  }

  #if(): Statement {
    const branches: { test: Expression; body: Statement[] }[] = []
    for (;;) {
      const test = this.#tuple({ choices: false })
      branches.push({ test, body: this.#body('elif', 'else', 'endif') })
      const { text } = this.#next()
      if (text === 'elif') continue
      return { kind: 'if', branches, otherwise: text === 'else' ? this.#closedBody('endif') : [] }
    }
  }

  #for(): Statement {
    const target = this.#target(['in'], false)
    this.#expect('name', 'in')
    const items = this.#tuple({ choices: false, ends: ['recursive'] })
    const test = this.#skip('name', 'if') ? this.#expression() : undefined
    const recursive = this.#skip('name', 'recursive')
    this.#loops++
    const body = this.#body('endfor', 'else')
    this.#loops--
    const otherwise = this.#next().text === 'else' ? this.#closedBody('endfor') : []
    return { kind: 'for', target, items, test, recursive, body, otherwise }
  }

  #with(): Statement {
    const targets: [Target, Expression][] = []
    while (!this.#is('end')) {
      if (targets.length > 0) this.#expect(',')
      const target = this.#target([], false)
      this.#expect('=')
      targets.push([target, this.#expression()])
    }
    return { kind: 'with', targets, body: this.#closedBody('endwith') }
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = []
    this.#expect('(')
    while (!this.#is(')')) {
      if (parameters.length > 0) this.#expect(',')
      const { text: name } = this.#expect('name')
      const otherwise = this.#skip('=') ? this.#expression() : undefined
      if (otherwise === undefined && parameters.at(-1)?.otherwise) this.#fail('non-default argument follows default argument')
      parameters.push({ name, otherwise })
    }
    this.#expect(')')
    return parameters
  }

  #target(ends: string[], fields: boolean): Target {
    if (fields && this.#token.type === 'name' && this.#tokens[this.#at + 1]?.type === '.') {
      const name = this.#next().text
      this.#next()
      return { kind: 'field', name, field: this.#expect('name').text }
    }
    return this.#asTarget(this.#tuple({ simple: true, ends }))
  }

  #asTarget(expression: Expression): Target {
    if (expression.kind === 'name') return expression
    if (expression.kind === 'tuple' || expression.kind === 'list')
      return { kind: 'tuple', items: expression.items.map((item) => this.#asTarget(item)) }
    return this.#fail(`can't assign to ${expression.kind}`)
  }

  // ---------------------------------------------------------------- expressions

  /** One expression, or several with commas between them as a tuple. */
  #tuple({ choices = true, simple = false, parentheses = false, ends = [] as string[] } = {}): Expression {
    const items: Expression[] = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.#expect(',')
      if (this.#is('end') || this.#is(')') || this.#isName(...ends)) break
      items.push(simple ? this.#primary() : this.#expression(choices))
      if (!this.#is(',')) break
      isTuple = true
    }
    if (!isTuple && items.length > 0) return items[0]!
    if (!isTuple && !parentheses) this.#fail('expected an expression')
    return { kind: 'tuple', items }
  }

  #expression(choices = true): Expression {
    return this.#nested(() => (choices ? this.#choice() : this.#or()))
  }

  #choice(): Expression {
    let yes = this.#or()
    while (this.#skip('name', 'if')) {
      const test = this.#or()
      const no = this.#skip('name', 'else') ? this.#nested(() => this.#choice()) : undefined
      yes = { kind: 'choice', test, yes, no }
    }
    return yes
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#skip('name', 'or')) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.#skip('name', 'and')) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (this.#skip('name', 'not')) return { kind: 'unary', operator: 'not', of: this.#nested(() => this.#not()) }
    const first = this.#sum()
    const rest: [string, Expression][] = []
    for (;;) {
      if (COMPARISONS.includes(this.#token.type)) rest.push([this.#next().type, this.#sum()])
      else if (this.#skip('name', 'in')) rest.push(['in', this.#sum()])
      else if (this.#isName('not') && this.#tokens[this.#at + 1]?.text === 'in' && this.#tokens[this.#at + 1]?.type === 'name') {
        this.#at += 2
        rest.push(['not in', this.#sum()])
      } else return rest.length === 0 ? first : { kind: 'compare', first, rest }
    }
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat())
  }

  #concat(): Expression {
    const items = [this.#product()]
    while (this.#skip('~')) items.push(this.#product())
    return items.length === 1 ? items[0]! : { kind: 'concat', items }
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#binary(['**'], () => this.#unary()))
  }

  #binary(operators: string[], operand: () => Expression): Expression {
    let left = operand()
    while (operators.includes(this.#token.type)) left = { kind: 'binary', operator: this.#next().type, left, right: operand() }
    return left
  }

  #unary(filtered = true): Expression {
    let node: Expression
    if (this.#is('-') || this.#is('+')) {
      const operator = this.#next().type as '-' | '+'
      node = { kind: 'unary', operator, of: this.#nested(() => this.#unary(false)) }
    } else node = this.#primary()
    node = this.#postfix(node)
    while (filtered) {
      if (this.#skip('|')) node = this.#filter(node)
      else if (this.#isName('is')) node = this.#test(node)
      else if (this.#is('(')) node = { kind: 'call', of: node, given: this.#arguments() }
      else break
    }
    return node
  }

  #primary(): Expression {
    const { type, text } = this.#next()
    switch (type) {
      case 'name':
        if (/^[tT]rue$/.test(text)) return { kind: 'const', value: true }
        if (/^[fF]alse$/.test(text)) return { kind: 'const', value: false }
        if (/^[nN]one$/.test(text)) return { kind: 'const', value: null }
        return { kind: 'name', name: text }
      case 'string': {
        let value = text
        while (this.#is('string')) value += this.#next().text
        return { kind: 'const', value }
      }
      case 'integer':
        return { kind: 'const', value: BigInt(text.replaceAll('_', '')) }
      case 'float':
        return { kind: 'const', value: Number(text.replaceAll('_', '')) }
      case '(': {
        const inner = this.#nested(() => this.#tuple({ parentheses: true }))
        this.#expect(')')
        return inner
      }
      case '[':
        return { kind: 'list', items: this.#listed(']', () => this.#expression()) }
      case '{':
        return {
          kind: 'dict',
          pairs: this.#listed('}', () => {
            const key = this.#expression()
            this.#expect(':')
            return [key, this.#expression()]
          }),
        }
      default:
        this.#at--
        return this.#fail(type === 'end' || type === 'eof' ? 'expected an expression' : `unexpected '${text}'`)
    }
  }

  #listed<T>(end: string, item: () => T): T[] {
    const items: T[] = []
    while (!this.#is(end)) {
      if (items.length > 0) this.#expect(',')
      if (this.#is(end)) break
      items.push(item())
    }
    this.#expect(end)
    return items
  }

  #postfix(start: Expression): Expression {
    let node = start
    for (;;) {
      if (this.#skip('.')) {
        if (this.#is('integer')) node = { kind: 'item', of: node, key: { kind: 'const', value: BigInt(this.#next().text) } }
        else node = { kind: 'attribute', of: node, name: this.#expect('name').text }
      } else if (this.#skip('[')) {
        const keys = [this.#subscript()]
        while (this.#skip(',')) keys.push(this.#subscript())
        this.#expect(']')
        node = { kind: 'item', of: node, key: keys.length === 1 ? keys[0]! : { kind: 'tuple', items: keys } }
      } else if (this.#is('(')) node = { kind: 'call', of: node, given: this.#arguments() }
      else return node
    }
  }

  #subscript(): Expression {
    const bound = () => (this.#is(':') || this.#is(']') || this.#is(',') ? undefined : this.#expression())
    const start = bound()
    if (start !== undefined && !this.#is(':')) return start
    this.#expect(':')
    const stop = bound()
    return { kind: 'slice', bounds: [start, stop, this.#skip(':') ? bound() : undefined] }
  }

  #arguments(): Arguments {
    const given: Arguments = { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    const check = (allowed: boolean) => {
      if (!allowed) this.#fail('invalid syntax for function call expression')
    }
    this.#expect('(')
    for (let first = true; !this.#is(')'); first = false) {
      if (!first) this.#expect(',')
      if (this.#is(')')) break
      if (this.#skip('*')) {
        check(given.rest === undefined && given.restKeywords === undefined)
        given.rest = this.#expression()
      } else if (this.#skip('**')) {
        check(given.restKeywords === undefined)
        given.restKeywords = this.#expression()
      } else if (this.#token.type === 'name' && this.#tokens[this.#at + 1]?.type === '=') {
        check(given.restKeywords === undefined)
        const name = this.#next().text
        this.#next()
        given.keywords.push([name, this.#expression()])
      } else {
        check(given.rest === undefined && given.restKeywords === undefined && given.keywords.length === 0)
        given.args.push(this.#expression())
      }
    }
    this.#expect(')')
    return given
  }

  #filters(start: Expression | undefined): Expression | undefined {
    let node = start
    while (this.#skip('|')) node = this.#filter(node)
    return node
  }

  #filter(of: Expression | undefined): Expression {
    const name = this.#dotted()
    const given = this.#is('(') ? this.#arguments() : { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    return { kind: 'filter', of, name, given }
  }

  #test(of: Expression): Expression {
    this.#next()
    const negated = this.#skip('name', 'not')
    const name = this.#dotted()
    let given: Arguments = { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    if (this.#is('(')) given = this.#arguments()
    else if (['name', 'string', 'integer', 'float', '[', '{'].includes(this.#token.type) && !this.#isName('else', 'or', 'and')) {
      if (this.#isName('is')) this.#fail('You cannot chain multiple tests with is')
      given.args.push(this.#postfix(this.#primary()))
    }
    const test: Expression = { kind: 'test', of, name, given }
    return negated ? { kind: 'unary', operator: 'not', of: test } : test
  }

  #dotted(): string {
    let name = this.#expect('name').text
    while (this.#skip('.')) name += `.${this.#expect('name').text}`
    return name
  }
}
