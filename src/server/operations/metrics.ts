/** Counters, gauges and histograms in the Prometheus text format: just what the server measures, no registry for others. */

type Labels = Record<string, string>

interface Family {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  lines(): string[]
}

export class Metrics {
  readonly #families: Family[] = []

  counter(name: string, help: string): Counter {
    return this.#add(new Counter(name, help))
  }

  /** A value read when the page is. */
  gauge(name: string, help: string, read: () => { labels?: Labels; value: number }[]): void {
    this.#add({
      name,
      help,
      type: 'gauge',
      lines: () => read().map(({ labels, value }) => `${name}${labelText(labels ?? {})} ${numberText(value)}`),
    })
  }

  /** @param bounds upper ends of the buckets, rising */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    return this.#add(new Histogram(name, help, bounds))
  }

  text(): string {
    return this.#families
      .map((family) => [`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`, ...family.lines(), ''].join('\n'))
      .join('')
  }

  #add<T extends Family>(family: T): T {
    this.#families.push(family)
    return family
  }
}

/** What the text says of a family, beside its values. */
class Named {
  readonly name: string
  readonly help: string

  constructor(name: string, help: string) {
    this.name = name
    this.help = help
  }
}

export class Counter extends Named implements Family {
  readonly type = 'counter'
  readonly #values = new Map<string, number>()

  add(labels: Labels, amount = 1): void {
    const key = labelText(labels)
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount)
  }

  lines(): string[] {
    return [...this.#values].map(([labels, value]) => `${this.name}${labels} ${numberText(value)}`)
  }
}

export class Histogram extends Named implements Family {
  readonly type = 'histogram'
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>()

  constructor(name: string, help: string, bounds: readonly number[]) {
    super(name, help)
    this.#bounds = bounds
  }

  observe(labels: Labels, value: number): void {
    const key = labelText(labels)
    let series = this.#series.get(key)
    if (!series) this.#series.set(key, (series = { labels, counts: this.#bounds.map(() => 0), sum: 0, count: 0 }))
    this.#bounds.forEach((bound, i) => {
      if (value <= bound) series.counts[i]!++
    })
    series.sum += value
    series.count++
  }

  lines(): string[] {
    return [...this.#series.values()].flatMap(({ labels, counts, sum, count }) => [
      ...this.#bounds.map((bound, i) => `${this.name}_bucket${labelText({ ...labels, le: numberText(bound) })} ${counts[i]}`),
      `${this.name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`,
      `${this.name}_sum${labelText(labels)} ${numberText(sum)}`,
      `${this.name}_count${labelText(labels)} ${count}`,
    ])
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const numberText = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
