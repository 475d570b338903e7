/** The expressions of templates, by the grammar of jinja2's parser; each method is one rule, from the weakest binding to the strongest. */
import type { Arguments, Expression } from './nodes.ts'
import { TokenStream } from './token-stream.ts'

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']

export class ExpressionParser extends TokenStream {
  /** One expression, or several with commas between them as a tuple. */
  protected tuple({ choices = true, simple = false, parentheses = false, ends = [] as string[] } = {}): Expression {
    const items: Expression[] = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.expect(',')
      if (this.is('end') || this.is(')') || this.isName(...ends)) break
      items.push(simple ? this.primary() : this.expression(choices))
      if (!this.is(',')) break
      isTuple = true
    }
    if (!isTuple && items.length > 0) return items[0]!
    if (!isTuple && !parentheses) this.fail('expected an expression')
    return { kind: 'tuple', items }
  }

  protected expression(choices = true): Expression {
    return this.nested(() => (choices ? this.#choice() : this.#or()))
  }

  #choice(): Expression {
    let yes = this.#or()
    while (this.skip('name', 'if')) {
      const test = this.#or()
      const no = this.skip('name', 'else') ? this.nested(() => this.#choice()) : undefined
      yes = { kind: 'choice', test, yes, no }
    }
    return yes
  }

  #or(): Expression {
    let left = this.#and()
    while (this.skip('name', 'or')) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.skip('name', 'and')) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (this.skip('name', 'not')) return { kind: 'unary', operator: 'not', of: this.nested(() => this.#not()) }
    const first = this.#sum()
    const rest: [string, Expression][] = []
    for (;;) {
      if (COMPARISONS.includes(this.token.type)) rest.push([this.next().type, this.#sum()])
      else if (this.skip('name', 'in')) rest.push(['in', this.#sum()])
      else if (this.isName('not') && this.following?.text === 'in' && this.following?.type === 'name') {
        this.move(2)
        rest.push(['not in', this.#sum()])
      } else return rest.length === 0 ? first : { kind: 'compare', first, rest }
    }
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat())
  }

  #concat(): Expression {
    const items = [this.#product()]
    while (this.skip('~')) items.push(this.#product())
    return items.length === 1 ? items[0]! : { kind: 'concat', items }
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#binary(['**'], () => this.#unary()))
  }

  #binary(operators: string[], operand: () => Expression): Expression {
    let left = operand()
    while (operators.includes(this.token.type)) left = { kind: 'binary', operator: this.next().type, left, right: operand() }
    return left
  }

  #unary(filtered = true): Expression {
    let node: Expression
    if (this.is('-') || this.is('+')) {
      const operator = this.next().type as '-' | '+'
      node = { kind: 'unary', operator, of: this.nested(() => this.#unary(false)) }
    } else node = this.primary()
    node = this.postfix(node)
    while (filtered) {
      if (this.skip('|')) node = this.filter(node)
      else if (this.isName('is')) node = this.#test(node)
      else if (this.is('(')) node = { kind: 'call', of: node, given: this.arguments() }
      else break
    }
    return node
  }

  protected primary(): Expression {
    const { type, text } = this.next()
    switch (type) {
      case 'name':
        if (/^[tT]rue$/.test(text)) return { kind: 'const', value: true }
        if (/^[fF]alse$/.test(text)) return { kind: 'const', value: false }
        if (/^[nN]one$/.test(text)) return { kind: 'const', value: null }
        return { kind: 'name', name: text }
      case 'string': {
        let value = text
        while (this.is('string')) value += this.next().text
        return { kind: 'const', value }
      }
      case 'integer':
        return { kind: 'const', value: BigInt(text.replaceAll('_', '')) }
      case 'float':
        return { kind: 'const', value: Number(text.replaceAll('_', '')) }
      case '(': {
        const inner = this.nested(() => this.tuple({ parentheses: true }))
        this.expect(')')
        return inner
      }
      case '[':
        return { kind: 'list', items: this.listed(']', () => this.expression()) }
      case '{':
        return {
          kind: 'dict',
          pairs: this.listed('}', () => {
            const key = this.expression()
            this.expect(':')
            return [key, this.expression()]
          }),
        }
      default:
        this.move(-1)
        return this.fail(type === 'end' || type === 'eof' ? 'expected an expression' : `unexpected '${text}'`)
    }
  }

  listed<T>(end: string, item: () => T): T[] {
    const items: T[] = []
    while (!this.is(end)) {
      if (items.length > 0) this.expect(',')
      if (this.is(end)) break
      items.push(item())
    }
    this.expect(end)
    return items
  }

  postfix(start: Expression): Expression {
    let node = start
    for (;;) {
      if (this.skip('.')) {
        if (this.is('integer')) node = { kind: 'item', of: node, key: { kind: 'const', value: BigInt(this.next().text) } }
        else node = { kind: 'attribute', of: node, name: this.expect('name').text }
      } else if (this.skip('[')) {
        const keys = [this.#subscript()]
        while (this.skip(',')) keys.push(this.#subscript())
        this.expect(']')
        node = { kind: 'item', of: node, key: keys.length === 1 ? keys[0]! : { kind: 'tuple', items: keys } }
      } else if (this.is('(')) node = { kind: 'call', of: node, given: this.arguments() }
      else return node
    }
  }

  #subscript(): Expression {
    const bound = () => (this.is(':') || this.is(']') || this.is(',') ? undefined : this.expression())
    const start = bound()
    if (start !== undefined && !this.is(':')) return start
    this.expect(':')
    const stop = bound()
    return { kind: 'slice', bounds: [start, stop, this.skip(':') ? bound() : undefined] }
  }

  protected arguments(): Arguments {
    const given: Arguments = { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    const check = (allowed: boolean) => {
      if (!allowed) this.fail('invalid syntax for function call expression')
    }
    this.expect('(')
    for (let first = true; !this.is(')'); first = false) {
      if (!first) this.expect(',')
      if (this.is(')')) break
      if (this.skip('*')) {
        check(given.rest === undefined && given.restKeywords === undefined)
        given.rest = this.expression()
      } else if (this.skip('**')) {
        check(given.restKeywords === undefined)
        given.restKeywords = this.expression()
      } else if (this.token.type === 'name' && this.following?.type === '=') {
        check(given.restKeywords === undefined)
        const name = this.next().text
        this.next()
        given.keywords.push([name, this.expression()])
      } else {
        check(given.rest === undefined && given.restKeywords === undefined && given.keywords.length === 0)
        given.args.push(this.expression())
      }
    }
    this.expect(')')
    return given
  }

  protected filters(start: Expression | undefined): Expression | undefined {
    let node = start
    while (this.skip('|')) node = this.filter(node)
    return node
  }

  protected filter(of: Expression | undefined): Expression {
    const name = this.#dotted()
    const given = this.is('(') ? this.arguments() : { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    return { kind: 'filter', of, name, given }
  }

  #test(of: Expression): Expression {
    this.next()
    const negated = this.skip('name', 'not')
    const name = this.#dotted()
    let given: Arguments = { args: [], keywords: [], rest: undefined, restKeywords: undefined }
    if (this.is('(')) given = this.arguments()
    else if (['name', 'string', 'integer', 'float', '[', '{'].includes(this.token.type) && !this.isName('else', 'or', 'and')) {
      if (this.isName('is')) this.fail('You cannot chain multiple tests with is')
      given.args.push(this.postfix(this.primary()))
    }
    const test: Expression = { kind: 'test', of, name, given }
    return negated ? { kind: 'unary', operator: 'not', of: test } : test
  }

  #dotted(): string {
    let name = this.expect('name').text
    while (this.skip('.')) name += `.${this.expect('name').text}`
    return name
  }
}
