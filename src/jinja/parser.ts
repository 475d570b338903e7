/** Tokens -> syntax tree, by the grammar of jinja2's parser: the statements. expression-parser.ts has the expressions. */
import { ExpressionParser } from './expression-parser.ts'
import { tokenize } from './lexer.ts'
import type { Expression, Parameter, Statement, Target } from './nodes.ts'

export function parse(template: string): Statement[] {
  return new Parser(tokenize(template)).template()
}

class Parser extends ExpressionParser {
  #loops = 0

  template(): Statement[] {
    const body = this.#statements([])
    if (this.token.type !== 'eof') this.fail(`unexpected '${this.token.text}'`)
    return body
  }

  /** Statements up to a tag of one of these names, whose name is the current token then. */
  #statements(ends: readonly string[]): Statement[] {
    const body: Statement[] = []
    while (this.token.type !== 'eof') {
      const { type, text } = this.next()
      if (type === 'data') body.push({ kind: 'data', text })
      else if (text === '{') {
        body.push({ kind: 'output', of: this.tuple() })
        this.expect('end', '{')
      } else {
        if (this.isName(...ends)) return body
        body.push(...this.nested(() => this.#statement()))
        this.expect('end', '%')
      }
    }
    if (ends.length > 0) this.fail(`unexpected end of template; expected ${ends.join(' or ')}`)
    return body
  }

  /** The rest of an opening tag, the statements, and the name of the tag that ends them. */
  #body(...ends: string[]): Statement[] {
    this.skip(':')
    this.expect('end', '%')
    return this.#statements(ends)
  }

  #closedBody(end: string): Statement[] {
    const body = this.#body(end)
    this.next()
    return body
  }

  #statement(): Statement[] {
    const name = this.expect('name').text
    switch (name) {
      case 'set':
        return [this.#set()]
      case 'if':
        return [this.#if()]
      case 'for':
        return [this.#for()]
      case 'macro': {
        const macro = this.expect('name').text
        const parameters = this.#parameters()
        return [{ kind: 'macro', name: macro, parameters, body: this.#closedBody('endmacro') }]
      }
      case 'call': {
        const parameters = this.is('(') ? this.#parameters() : []
        const call = this.expression()
        if (call.kind !== 'call') this.fail('expected call')
        return [{ kind: 'call-block', parameters, call, body: this.#closedBody('endcall') }]
      }
      case 'filter': {
        const filter = this.filters(this.filter(undefined))!
        return [{ kind: 'filter-block', filter, body: this.#closedBody('endfilter') }]
      }
      case 'with':
        return [this.#with()]
      case 'print': {
        const items = [this.expression()]
        while (this.skip(',')) items.push(this.expression())
        return items.map((of) => ({ kind: 'output', of }))
      }
      case 'generation':
        return [{ kind: 'scope', body: this.#closedBody('endgeneration') }]
      case 'block': {
        const block = this.expect('name').text
        for (const word of ['scoped', 'required']) this.skip('name', word)
        const body = this.#closedBody('endblock')
        this.skip('name', block)
        return [{ kind: 'scope', body }]
      }
      case 'break':
      case 'continue':
        if (this.#loops === 0) this.fail(`'${name}' outside of a loop`)
        return [{ kind: name }]
      default:
        return this.fail(`the tag '${name}' is not known; chat templates have no other templates to include`)
    }
  }

  #set(): Statement {
    const target = this.#target([], true)
    if (this.skip('=')) return { kind: 'set', target, value: this.tuple() }
    const filter = this.filters(undefined)
    return { kind: 'set-block', target, filter, body: this.#closedBody('endset') }
  }

  #if(): Statement {
    const branches: { test: Expression; body: Statement[] }[] = []
    for (;;) {
      const test = this.tuple({ choices: false })
      branches.push({ test, body: this.#body('elif', 'else', 'endif') })
      const { text } = this.next()
      if (text === 'elif') continue
      return { kind: 'if', branches, otherwise: text === 'else' ? this.#closedBody('endif') : [] }
    }
  }

  #for(): Statement {
    const target = this.#target(['in'], false)
    this.expect('name', 'in')
    const items = this.tuple({ choices: false, ends: ['recursive'] })
    const test = this.skip('name', 'if') ? this.expression() : undefined
    const recursive = this.skip('name', 'recursive')
    this.#loops++
    const body = this.#body('endfor', 'else')
    this.#loops--
    const otherwise = this.next().text === 'else' ? this.#closedBody('endfor') : []
    return { kind: 'for', target, items, test, recursive, body, otherwise }
  }

  #with(): Statement {
    const targets: [Target, Expression][] = []
    while (!this.is('end')) {
      if (targets.length > 0) this.expect(',')
      const target = this.#target([], false)
      this.expect('=')
      targets.push([target, this.expression()])
    }
    return { kind: 'with', targets, body: this.#closedBody('endwith') }
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = []
    this.expect('(')
    while (!this.is(')')) {
      if (parameters.length > 0) this.expect(',')
      const { text: name } = this.expect('name')
      const otherwise = this.skip('=') ? this.expression() : undefined
      if (otherwise === undefined && parameters.at(-1)?.otherwise) this.fail('non-default argument follows default argument')
      parameters.push({ name, otherwise })
    }
    this.expect(')')
    return parameters
  }

  #target(ends: string[], fields: boolean): Target {
    if (fields && this.token.type === 'name' && this.following?.type === '.') {
      const name = this.next().text
      this.next()
      return { kind: 'field', name, field: this.expect('name').text }
    }
    return this.#asTarget(this.tuple({ simple: true, ends }))
  }

  #asTarget(expression: Expression): Target {
    if (expression.kind === 'name') return expression
    if (expression.kind === 'tuple' || expression.kind === 'list')
      return { kind: 'tuple', items: expression.items.map((item) => this.#asTarget(item)) }
    return this.fail(`can't assign to ${expression.kind}`)
  }
}
