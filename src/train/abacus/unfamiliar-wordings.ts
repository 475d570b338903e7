/**
 * Wordings that the third stage adds to those of the dialogues: what is asked of two or three numbers, of a list of numbers, in a story, and in
 * a comparison. E stands for an expression, L for a list of numbers, A, B and C for numbers, N and M for names, T for things, P for places; one
 * of the words in {braces|like these} is chosen. The wordings of the tests are others.
 */
import type { Operator } from './expression.ts'
import type { Language } from './number-words.ts'
import { type Comparison, comparisons } from './question-wordings.ts'
import { lines } from './templates.ts'

/** Wordings for three numbers A, B and C, by the sign before B and the sign before C. */
export type BySigns = Partial<Record<`${Operator}${Operator}`, string[]>>

/** Around any expression. */
export const FURTHER_AROUND: Record<Language, string[]> = {
  en: lines(`{Please |Kindly |}{let me hear|name|spell out|report|state|output|return|print} E{.|}
    {Can|Could|Would|Will} you {please |}{find|name|get|do|give me|figure out|show me|check} E{?|for me?| please?}
    {My|Our|Her} {boss|neighbour|sister|pupil|father|friend} {wants|would like|needs|asks for|has to know} E{.|}
    {And|But|Yes, but|No,|Ah,|Oh,} what {is|was|makes|will be} E{?| then?}
    {I am|I'm} {looking for|not sure about|trying to find|curious about} E{.|}
    {The|My} {next|first|last|second} {question|task|problem|one} {is|reads|goes}{:|} E
    E {will be|should be|has to be|amounts to|results in|leads to} {what|how much}?
    {How|Tell me how} {large|big} {is|would be} E{?|}
    {Guess|Mental arithmetic:|_A riddle:|_A test:|Exercise:|Task:} E
    The {value|result|outcome} of E {please|is what?|would be?}
    What {value|sum|total|outcome|figure} {has|does one get for|do you find for} E?
    E{, quick|, go|, come on|, be quick}
    {If I type|When I enter} E, what {do I see|comes up|appears}?
    E{, thanks|, thank you|, cheers|, many thanks}{!|.|}
    {I think|I guess|I believe|I suppose} E {is|makes} {what|how much}?
    {The|So the|Then the} {answer|solution} {to|of|for} E {is|would be|comes to}{?|:| what?}
    {My|Our|The} {teacher|coach|daughter|little brother|pupil} {asks|wants|asked|says|gave us}{:|} E
    {Hey|Hello|Hi|Good morning}{,|!} {what's|what is|quick question:|please do} E{?|}
    {I need|I'd like|I want|We need} {the answer to|the solution of|help with|the total of} E{.|}
    {Can|Could} {somebody|anyone|you} {work out|help me with|answer|solve|finish} E{?| please?|, please?}
    {Type|Put down|Give|Send} {me |}{the answer|the solution|the result} {of|to|for} E{.|}
    {Homework|Question one|Warm up|Easy one|Quiz|Exam}{:|.} E
    {Would you mind|Do you mind} {saying|finding out|working out} {what|how much} E {is|makes|comes to}?
    {I can't|I cannot|We can't} {work out|solve|do|find} E{. Can you?|, can you?|. Please help.}
    {What's|What is|What would be} E{, please| exactly| altogether|, friend}?
    {Once more|Again|Next|Now}{:|,|} {what about |}E{?|}`),
  de: lines(`{Sag|Nenne|Gib|Zeig} mir {bitte |}{das Ergebnis von |den Wert von |}E{.|}
    {Kannst|Könntest|Würdest} du {mir |}{bitte |}E {rechnen|lösen|sagen|ausrechnen|verraten}?
    {Ich suche|Ich brauche|Ich will} {das Ergebnis von |}E{.|}
    {Meine|Die} {nächste|erste|letzte} {Aufgabe|Frage} {ist|lautet}{:|} E
    {Wie viel|Wieviel|Was} {kommt bei|erhalte ich bei|hat man bei|bekommt man für} E{?| heraus?}
    {Wie groß|Wie hoch} {wäre|ist} {das Ergebnis von |}E?
    E {sind|sind dann|wären|wird} {wie viel|was}?
    {Aufgabe|Kopfrechnen|Eine Frage}: E
    {Hallo|Guten Tag|Hey}{,|!} {was ist|wie viel ist|rechne bitte} E{?|}
    E{, danke|, bitte|, danke schön}{.|!|}
    {Meine|Unsere} {Lehrerin|Tochter|Oma|Chefin} {fragt|will wissen}{:|, was} E{ ist|}
    {Ich glaube,|Ich denke,} E {ist|sind} {was|wie viel}?
    {Die Lösung|Das Ergebnis|Die Antwort} {von|zu|für} E{ ist| lautet|}{?|:|}`),
  zh: lines(`{请|麻烦你|帮忙}{算出|算算|求出|计算一下|说出}E{。|}
    E{应等于|会是|究竟是|到底等于}{几|多少}？
    {老师|同学|弟弟|妹妹}{想知道|问我|要我算}E{。|}
    {第一题|下面一题|这道题|题目}{是|：}E
    E{算出来|结果}{是几|是多少|等于几}？
    {可以|可不可以|能}{帮我|给我}{算出|求}E吗？
    {你好|您好|嗨}，{请问|}E{是多少|等于几|得几}？
    E，{谢谢|多谢|拜托}{。|！|}
    {我想知道|我要知道|告诉我}E{的答案|的结果|}{。|}`),
}

export const FURTHER_OF_TWO: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`{Plus|Addition|Add|Sum}: A{,| and} B
      {Please |}{tally|total|add together|sum up|combine|count up} A and B{.|}
      {Add|Put|Count|Tack|Pile} {another |}B {to|onto|on to} A{.|}
      {What|How much} {comes of|results from|do you have with|is} A {along with|plus another|and also|and another|with a further} B?
      {Which|What} number {is|lies|comes} B {more|higher|larger|greater|further} than A?
      A {raised|enlarged|extended|lifted} by B{?|}
      {What|Which number} {must|do|should} I {have|write|get} {if|when} I {put|count|give} B {more |}to A?
      {Begin|Start|I start} {at|from} A and {go up|climb|count up|rise|step up} {by |}B{. Where am I?|.}
      {I think of|Think of|Imagine|I choose} A {and add|, then add} B{. What number is it?|. What do I get?|.}
      A, {now|then} add B{.|}
      {You have|I have|We have} A and {I have|she has|they have} B. {Together?|How much together?|How many is that?}
      A {and|with} B {come|amount|go up} to {what|how much}?
      {If|When} A {is increased|is raised|grows|goes up|rises} by B, {what is it|what do I get|how much is it}{ then|}?
      A {increased|made bigger|made larger} by B{?| is what?|}
      {Tom|Lena|Ada|Max|My sister|_A girl} {adds|sums|adds up|counts together} A and B. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {Tom|Lena|Ada|Max|_A child|My friend} {does not|doesn't} {multiply|subtract|divide|compare}{ anything| here|}{;|, but|.} {he|she|it} {adds|sums up|adds up} A and B. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {After|Once} adding B to A, {what|how much|which number} {do I have|is there|is it}?
      A {as well as|together with|along with} B{?| is how much?|, total?}
      {Combine|Unite} A {and|with} B{.| into one number.| please|}`),
    '-': lines(`{Minus|Subtraction|Subtract}: A{,| and} B
      {Please |}{take|strike|knock|lift} B {off|from|off of} A{.|}
      {What|How much} {is missing|is lacking|do I lack|do I still need} {if I have B and need A|if I have B and want A|from B up to A|to get from B to A}?
      {What|Which number|How much} {must|do|should|can} I {add|count|put|give} {to|onto} B to {reach|make|have|arrive at|end up with} A?
      B {plus|and} {what|how much|which number} {is|makes|gives|equals} A?
      {Which|What} number {is|lies|comes} B {lower|smaller|fewer|less|further down} than A?
      {I start|Begin|Start} {at|from|with} A and {go down|fall|count down|sink|step down} {by |}B{. Where am I?|.}
      {I think of|Think of|Imagine|I choose} A {and subtract|, then subtract|and take off} B{. What number is it?|. What do I get?|.}
      A {shortened|cut|diminished|lessened} by B{?|}
      {From|Out of} A {subtract|deduct|remove|take} B{.|}
      A, {now|then} {subtract|take away|take off} B{.|}
      {What|How much} {is|stays|would be} left {over |}{from|of} A {when|if|once} B {is|are} {gone|removed|subtracted|paid}?
      By how much {does A exceed|is A above} B?
      {How many|By how many|How much} {more|higher|larger} is A than B?
      B {smaller|lower} than A{?|}
      How much {lower|smaller|less} is B than A?
      The {gap|distance} {from|between} B {to|and} A{?|}
      {If|When} A {is decreased|is lowered|is reduced|falls|drops|goes down} by B, {what is it|what do I get|how much is it}{ then|}?
      A {decreased|reduced|lowered|made smaller} by B{?| is what?|}
      {What's|What is|How much is} left {of|from} A {after|when|by} {taking away|taking|removing|subtracting|losing} B?
      {What|How much} do {I|we|you} {get|have} {if|when} {I|we|you} {take|remove|subtract} B {from|out of} A?
      {Tom|Lena|Ada|Max|My sister|_A girl} {subtracts|takes|takes away|deducts} B from A. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {Tom|Lena|Ada|Max|_A child|My friend} {does not|doesn't} {multiply|add|divide|compare}{ anything| here|}{;|, but|.} {he|she|it} {subtracts|takes|deducts} B from A. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {After|Once} {taking|subtracting|removing} B from A, {what|how much|which number} {do I have|is there|is it}?
      {What|Which number|How much} {must be|has to be|should be|is} {added|given|put} to B {to reach A|to get A|to have A|so that it is A|so that A comes out}?
      {How far|How much} {is it|is there} {from B up to A|between B and A|from B to A}?
      {Start|Begin|We start} {with|from|at} A {and|, then} {lose|remove|drop} B{. What is left?|. What stays?|.}`),
    '*': lines(`{Times|Product|Multiply|Multiplication}: A{,| and} B
      {How much|How many|What} {is|are|makes} {A times the number B|A times as many as B|B counted A times|B added up A times}?
      {Please |}{multiply|take} {together |}A {and|with|by} B{.| for me.}
      {Write|Say|Count} B A times and add {it up|them up}{.|}
      {What|How much} do A {twos|threes|packs|bundles|lots|sets} of B {make|give}?
      {I think of|Think of|Imagine|I choose} A {and multiply|, then multiply} {it |}by B{. What number is it?|. What do I get?|.}
      A, {now|then} {multiply by|times} B{.|}
      A rows {of|with} B {each|in each}, how many?
      {What|Which} number {is|would be} A times {as large|as big|as much|the size} as B?
      {If|When} A is multiplied {by|with} B, {what is it|what do I get|how much is it}?
      {Tom|Lena|Ada|Max|My sister|_A girl} multiplies A {by|with|and} B. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {Tom|Lena|Ada|Max|_A child|My friend} {does not|doesn't} {add|subtract|divide|compare}{ anything| here|}{;|, but|.} {he|she|it} multiplies A {by|with|and} B. {What is the result|How much is it|What does it make|What comes of it|What comes out}?
      {After|Once} multiplying A {by|with} B, {what|how much|which number} {do I have|is there|is it}?
      A {helpings|batches|portions|lots} of B{?| are how many?|}`),
  },
  de: {
    '+': lines(`{Plus|Addition|Summe}: A {und|,} B
      {Zähle|Rechne|Zieh} {bitte |}A und B zusammen{.|}
      {Welche|Was für eine} Zahl ist {um |}B {mehr|höher|größer} als A?
      {Ich denke mir|Nimm|Ich nehme} A und {addiere|zähle dazu|lege dazu} B{.|. Was kommt raus?}
      A {plus noch|und dazu|und weitere|zuzüglich} B{?|}
      {Wie viel|Was} {geben|machen|sind} A und {noch |}B {zusammen|insgesamt|in Summe}?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} {addiert|summiert} A und B. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} {multipliziert|subtrahiert|teilt|vergleicht} {nicht|hier nicht}{,|;} {sondern|er|sie|es} {addiert|summiert} A und B. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Wenn ich|Wenn man} zu A {noch |}B {addiere|dazuzählt|dazulege|gebe}, {was ist das|was kommt raus|wie viel ist es}?
      A {vergrößert um|vermehrt um|und dann noch} B{?|}`),
    '-': lines(`{Minus|Subtraktion|Differenz}: A {und|,} B
      {Nimm|Ziehe|Zieh} {bitte |}{die |}B {von der|von} A {weg|ab}{.|}
      {Was|Wie viel} {fehlt|muss man} {von B auf A|noch, wenn ich B habe und A brauche|zu B addieren, um A zu bekommen}?
      B plus {wie viel|was} {ist|ergibt} A?
      {Ich denke mir|Nimm|Ich nehme} A und {subtrahiere|nehme weg} B{.|. Was kommt raus?}
      A {abzüglich|weniger} B{?|}
      {Wie viel|Was} {bleibt|ist übrig|bleibt übrig} {von A ohne|, wenn von A weggehen} B?
      {Wie viel|Um wie viel} {kleiner|weniger} ist B als A?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} {subtrahiert|nimmt} B von A. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} {multipliziert|addiert|teilt|vergleicht} {nicht|hier nicht}{,|;} {sondern|er|sie|es} subtrahiert B von A. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Wenn ich|Wenn man} von A B {abziehe|wegnimmt|subtrahiert}, {was bleibt|was kommt raus|wie viel ist es}?
      A {verkleinert um|vermindert um|verringert um} B{?|}`),
    '*': lines(`{Mal|Produkt|Multiplikation}: A {und|,} B
      {Wie viel|Was} {ergeben|sind|macht} A {mal die Zahl|multipliziert mit} B?
      {Rechne|Nimm} {bitte |}{die |}B A mal{.|}
      {Ich denke mir|Nimm|Ich nehme} A und {multipliziere mit|nehme es mal} B{.|. Was kommt raus?}
      A {Packungen|Bündel} {zu|mit} je B, wie viel{ ist das|}?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} multipliziert A mit B. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Tom|Lena|Max|Anna|Ein Kind|Mein Freund} {addiert|subtrahiert|teilt|vergleicht} {nicht|hier nicht}{,|;} {sondern|er|sie|es} multipliziert A mit B. {Wie viel ist es|Was ist das Ergebnis|Was ergibt das|Wie viel ist das}?
      {Wenn ich|Wenn man} A mit B {multipliziere|malnimmt|multipliziert}, {was ist das|was kommt raus|wie viel ist es}?`),
  },
  zh: {
    '+': lines(`A{再加上|又加上|添|再加}B{得几|是几|是多少}？
      {把|将}A{和|与|跟}B{加在一起|加到一起|合在一起}{是几|得多少|}
      {比A大B|比A多B}的数{是几|是多少}？
      A{多|增多|增大}B{得多少|是几}？
      {小明|她|他|小华}{不乘|不减|没有减}，{而是|只是|}把A和B{相加|加起来}，{得几|是多少|结果是几}？
      {小明|她|他|小华}{把|用}A{加上|加}B，{得几|是多少|结果是几}？`),
    '-': lines(`{从A里|从A中|由A}{减掉|去掉|拿走|扣掉}B{是几|剩几|还有多少}？
      B{加上几|加多少|再加几|加几}{等于|是|才是|得}A？
      {比A小B|比A少B}的数{是几|是多少}？
      A{比B多几|比B大几|与B相差几}？
      B{到A还差|离A还差|比A少}{几|多少}？
      {小明|她|他|小华}{不乘|不加|没有加}，{而是|只是|}{用|从}A减{去|}B，{得几|是多少|结果是几}？
      {小明|她|他|小华}{从|用}A{减去|减}B，{得几|是多少|结果是几}？`),
    '*': lines(`A个B{相加|加起来|是几|得多少}{？|}
      B的A倍{等于几|是几|得多少}？
      {把|将}A{乘上|乘|乘以}B{是几|得几|}
      A{乘上|乘}B{得几|是几}？
      {小明|她|他|小华}{不加|不减|没有减}，{而是|只是|}把A和B相乘，{得几|是多少|结果是几}？
      {小明|她|他|小华}{把|用}A{乘以|乘}B，{得几|是多少|结果是几}？`),
  },
}

/** What is done with A and B, and then with C. */
export const NESTED: Record<Language, BySigns> = {
  en: {
    '++': lines(`{Add|Put} C to the sum of A and B{.|}
      {Take|Start with} A, {add|and add} B{, then| and then|, and} add C{.|}`),
    '+-': lines(`{Subtract|Take|Deduct} C from the sum of A and B{.|}
      {What is |}the sum of A and B {minus|less|without} C{?|}
      {Take|Start with} A, add B{, then| and then|, and} {subtract|take away} C{.|}`),
    '+*': lines(`{Multiply|Take} the sum of A and B {by|times} C{.|}
      {What is |}C times the sum of A and B{?|}
      Add A and B{, then| and then} multiply {the result |it |}by C{.|}
      {Take|Start with} A, add B{, then| and then|, and} multiply by C{.|}`),
    '-+': lines(`{Add|Put} C to the difference of A and B{.|}
      {Take|Start with} A, {subtract|take away} B{, then| and then|, and} add C{.|}`),
    '--': lines(`{Take|Start with} A, {subtract|take away} B{, then| and then|, and} {subtract|take away} C{.|}
      {Subtract|Take} both B and C from A{.|}
      {Subtract|Take} B and {then |}C from A{.|}`),
    '-*': lines(`{Multiply|Take} the difference {of|between} A and B {by|times} C{.|}
      {What is |}C times the difference of A and B{?|}
      Subtract B from A{, then| and then} multiply {the result |it |}by C{.|}`),
    '*+': lines(`{Add|Put} C to the product of A and B{.|}
      {What is |}the product of A and B plus C{?|}
      Multiply A by B{, then| and then} add C{.|}
      {Take|Start with} A, multiply {it |}by B{, then| and then|, and} add C{.|}`),
    '*-': lines(`{Subtract|Take} C from the product of A and B{.|}
      {What is |}the product of A and B {minus|less} C{?|}
      Multiply A by B{, then| and then} {subtract|take away} C{.|}`),
  },
  de: {
    '++': lines('{Addiere|Zähle} C zur Summe {von|aus} A und B{ dazu|}'),
    '+-': lines('{Subtrahiere|Ziehe} C von der Summe {von|aus} A und B{ ab|}\nNimm A, addiere B und {subtrahiere|ziehe ab:} C{.|}'),
    '+*': lines('Multipliziere die Summe {von|aus} A und B mit C{.|}\nAddiere A und B und multipliziere {dann |}mit C{.|}'),
    '-+': lines('Nimm A, subtrahiere B und addiere C{.|}'),
    '-*': lines('Multipliziere die Differenz {von|aus} A und B mit C{.|}'),
    '*+': lines('Addiere C zum Produkt {von|aus} A und B{.|}\nMultipliziere A mit B und addiere {dann |}C{.|}'),
    '*-': lines('Subtrahiere C vom Produkt {von|aus} A und B{.|}'),
  },
  zh: {
    '++': lines('A加B再加C{是多少|得几|等于几}？'),
    '+-': lines('{A与B的和减去C|A加B再减C|A加上B，再减去C}{是多少|得几|等于几}？'),
    '+*': lines('{A与B的和|A加B的和}乘{以|}C{是多少|得几|等于几}？'),
    '-+': lines('{A减B再加C|A减去B，再加上C|A与B的差加上C}{是多少|得几|等于几}？'),
    '--': lines('{A减B再减C|A减去B，再减去C}{是多少|得几|等于几}？'),
    '-*': lines('{A与B的差|A减B的差}乘{以|}C{是多少|得几|等于几}？'),
    '*+': lines('{A与B的积加上C|A乘B再加C|A乘以B，再加上C}{是多少|得几|等于几}？'),
    '*-': lines('{A与B的积减去C|A乘B再减C|A乘以B，再减去C}{是多少|得几|等于几}？'),
  },
}

/** Claims about the value of an expression E, which are not judged. */
export const CLAIMS: Record<Language, string[]> = {
  en: lines(`{Is|Isn't} E {=|equal to|the same as|really|exactly} C?
    {Is it true|Is it right|Are you sure|Do you agree} that E {is|equals|makes} C?
    E {=|is|equals|makes} C{?|, right?|, true or false?|, isn't it?}
    {True or false|Right or wrong}: E {=|is} C
    I {think|say|believe} E is C. {Right?|Is that right?|Am I right?}`),
  de: lines(`{Ist|Sind} E {=|gleich|wirklich|genau} C?
    {Stimmt es|Ist es richtig|Ist es wahr}, dass E C {ist|ergibt}?
    E {=|ist} C{?|, richtig?|, stimmt das?}`),
  zh: lines(`E{=|等于|是}C{吗|对吗|，对不对}？
    E是不是{等于|}C？`),
}

/** Around a list of numbers that are added. */
export const LISTS: Record<Language, string[]> = {
  en: lines(`{add|Add|add up|sum|Sum up|total|Total up|count up|tally|plus} L
    {sum|total|sum of|total of|the sum of|the total of|addition of|addition}{:|} L
    {What|How much} {do|would} L {make|give|come to|add up to|total}{?| together?| in all?| altogether?}
    {What is|Find|Tell me|Give me|I need} {the sum of|the total of|everything together:|all of} L{?|}
    {Please |Can you |}{add|sum up|total} {these|these numbers|the numbers|the following}: L
    L {together|summed|added up|in total|altogether|all together|added together}{?|}
    L {makes|make|is|are} {what|how much} {together|in all|in total}?`),
  de: lines(`{addiere|Addiere|Rechne|Zähle} L {zusammen|}
    {Summe|die Summe von|Summe von|Summe aus}{:|} L
    {Wie viel|Was} {ergeben|sind|machen} L {zusammen|insgesamt}?
    {Zähle|Rechne} {die Zahlen |}L zusammen{.|}
    L {zusammen|addiert|in Summe|insgesamt}{?|}`),
  zh: lines(`{把|将|请把}L{加起来|都加上|相加|加在一起}
    L{的和|的总和|一共|加起来}{是多少|是几|}？
    {求|算}L{的和|的总和}`),
}

/** What is asked of a list, but is no sum. F and U stand for the first and the last number of a range. */
export const OTHER_LISTS: Record<Language, string[]> = {
  en: lines(`L
    L{?|.|, ...|, ?}
    {Find|Tell me|What is|Give me} the {median|mean|average|mode|range|middle|largest|smallest|next number} of L{?|}
    {Sort|Order|Reverse|Shuffle|Divide|Print|Repeat|List} L
    {Which|What} {number |}{follows|continues|goes on after|would be next in} L?
    {How does it go on|What is the rule|What is missing}: L
    {Sum|Add|Multiply|Add up} {every number|the numbers|everything} {between|from} F {and|to|up to} U{.|}
    {How many|Which} numbers {are|lie} between F and U?
    {Say|List|Write|Count} {the |all |}numbers {from|between} F {to|and} U
    {mean|average|mode|range} of L
    L in {order|reverse|words}
    What {is|would be} {the|my} next {number|term|one}{:| in| after} L{?|}
    {Continue|Go on with|Extend|Finish}{: | the row | the series |}L`),
  de: lines(`L
    L{?|.|, ...}
    {Finde|Nenne|Was ist} {den Mittelwert|den Durchschnitt|den Median|die Mitte} von L{?|}
    {Sortiere|Ordne|Teile|Drucke} L
    {Welche Zahl|Was} {folgt auf|kommt nach} L?
    {Summe|Zähle} aller Zahlen von F bis U
    Zahlen {von|zwischen} F {bis|und} U`),
  zh: lines(`L
    L的{平均数|平均值|中位数|规律}{是多少|}？
    {把|给}L{排序|排个顺序}
    L{后面是几|接下来是什么}？
    {求|算}F到U{所有数的和|之间的数}`),
}

/** Divisions of B into A, halves and doubles, which are declined. */
export const DIVISIONS: Record<Language, string[]> = {
  en: lines(`How many {packs|sets|bags|teams|boxes|rows|piles} of B {fit into|can be made from|do I get out of|can I fill with|make} A?
    How many {times|Bs} {can|does} {I take B from|B go into|B fit into} A?
    {_A|The|One} {third|quarter|fifth|sixth|tenth|half|thousandth|hundredth part} of A{?|}
    A {parted|shared|split|broken|cut} {into|among|by|in} B{ parts| people| pieces|}{?|}
    A {T|coins|cakes} {for|among|between} B {people|children|friends}. How many {for each|does each get|per head}?
    {Each|Every} {box|bag|row} {holds|has} B T. How many {boxes|bags|rows} {are needed|do I need} for A{ T|}?
    {What|How much} {is left over|is the rest|remains} when A is {shared by|divided by|split by} B?
    {Double|Triple|Halve} A{.|, please| for me|, then add B|, then take off B| and take B off| and add B}
    {Twice|Double|Half|Three times|Half of} A {plus|minus|and|less} B{?|}`),
  de: lines(`Wie viele {Packungen|Gruppen|Beutel|Reihen} zu B {ergeben|sind in|bekomme ich aus} A?
    {Ein|Das} {Drittel|Viertel|Fünftel|Zehntel} von A{?|}
    A {verteilt auf|aufgeteilt in|gebrochen durch} B{?|}
    A T für B Kinder. Wie viele {für jedes|bekommt jedes}?`),
  zh: lines(`A{里面有|中有|可分成}几个B？
    A的{三分之一|四分之一|十分之一}{是多少|是几|}？
    A个T{平分给|平均分给}B{人|个人}，{每人|一人}几个？`),
}

/** Sentences before a story that change nothing. */
export const ASIDES: Record<Language, string[]> = {
  en: lines(`{Please |}{help|help me|listen|think well}.
    {It is|It was|Today is} {a sunny day|Sunday|cold|late|a holiday}.
    {Here is|This is} {one more|a story|another one|for school|a puzzle|my question}{.|:}
    {I do not|I don't} {know|understand} this{ one|}.
    {Hello|Hi|Hey}{!|,|.}
    {N|M} {is happy|is tired|likes T|lives near the P|loves numbers|is at the P}.
    {Two|Three|Four|One} of my {uncles|friends|cats|teachers} {came|are here|slept late|called}{.|. Anyway,|. Well,|. Now,}`),
  de: lines(`{Bitte |}{hilf mir|hör zu|denk nach}.
    {Heute ist|Es ist} {Sonntag|kalt|ein schöner Tag}.
    {Noch eine|Hier ist eine|Jetzt eine} {Frage|Aufgabe}:
    {Hallo|Hey|Guten Tag}{!|,|.}
    {N|M} {ist müde|mag T|freut sich|rechnet gern}.`),
  zh: lines(`{请|}{帮帮我|听好|想一想}。
    {今天|昨天}{很冷|是周日|天气好}。
    {你好|嗨}{！|，}
    {N|M}{很高兴|喜欢T|喜欢算术}。`),
}

/** What stands between the numbers of a list; the last place may differ. */
export const BETWEEN_ITEMS: Record<Language, (readonly [string, string])[]> = {
  en: [
    [' ', ' '],
    [', ', ', '],
    [', ', ' and '],
    [', ', ', and '],
    [' and ', ' and '],
    [',', ','],
  ],
  de: [
    [' ', ' '],
    [', ', ', '],
    [', ', ' und '],
    [' und ', ' und '],
  ],
  zh: [
    ['、', '、'],
    ['，', '，'],
    ['、', '和'],
    ['和', '和'],
    [' ', ' '],
  ],
}

export const FURTHER_STORIES: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`N {has|had|owns} A T and {gets|finds|wins|buys|receives|collects|earns|picks up|adds|makes|borrows|catches|inherits|brings} B. How many T {does N have|has N got|has N|are there|does N have now|are there now}?
      {I|We|They} {have|had|own} A T and {get|find|win|buy|collect|earn|pick up|make|catch|won|found|bought|got} B. How many T {have I|do we have|do they have now|have I now|are there|are there now}?
      {There are|There were|I see|Here are} A {T|people|birds|children|cars} {in|at|on} the P. B {come|arrive|get in|join|enter|move in|land|come back|are added|are brought|appear}. How many {are there|are there now|are they now|does the P have now}?
      {The P|_A bus|Our house|The lift} has A {people|guests|passengers|T} in it. B {get on|come in|enter|get in|are put in|move in}. How many {are in it|are there|has it now|are in it now}?
      {N|The P|The ship|The lift} {started|began|came|set out} with A {T|passengers|people}. B {others |more |}{#got on|got in|were put in|were added|hopped on|climbed in}. How many {#are on board|are inside|are in it|are there|are on it|are inside}{ now| then|}?
      The P {started|opened|began} with A {T|guests|people|visitors}{ and|, and} {then |}B {more |}{came in|entered|joined|walked in|arrived}. How many are {inside|there|in it} {now|}?
      N has A T, M has B. {How many|What number of} T {have they|do they have|do both have|are that|have N and M} {together|in all|in total|}?
      N {#writes|eats|sells|picks|bakes|reads|catches|paints} A T and {M|then M|her sister|his father} {#writes|eats|sells|picks|bakes|reads|catches|paints} B. How many T {is that|are that|is it in all|are there}{ together|}?
      {#N is|I am|You are|My father is|Her cat is} A years old{ now| today|}. How old will {#N|I|you|he|it} be {in|after} B years?
      {In|After} B years, how old is {somebody|N|a tree|a man} who is A {now|today}?
      {#On Monday|In May|In spring|In week one} N {#sold|saw|had|earned} A {T|cars|coins|sheep}, {#on Friday|in June|in autumn|in week two} B. How many {is|was} {it|that} {in all|altogether|together}?
      N {drives|walks|rows|runs|flew|rode} A {#miles|km|metres|steps} to the P and {then|another|after that} B{ more|}. How many {#miles|km|metres|steps} is that?
      N {drives|walks|rows|runs} A {#miles|km|metres|steps} and {then|after that} B {#miles|km|metres|steps}. How far {is that|did N go|is the way|does N get}?
      N {pays|paid} A {dollars|euros|coins|pounds} for {_A|the|one} {T|hat|book} and B for {_A|the|one} {P|pen|cake}. {How much|What} {does N pay|did N pay|is that|did it cost} {in all|together|altogether}?
      {_A|The|One} {hat|bike|book|lamp} costs A {dollars|euros|coins} and {_A|the|one} {cap|bell|pen|cup} costs B. What do {both|the two|they} cost{ together|}?
      N has A {dollars|euros|coins} and {earns|gets|receives|saves|is given} B {dollars|euros|coins|} {more|}. How much {money |}does N have{ now| then|}?
      {The temperature|The level|The price|The score} was A and {rises|rose|went up|climbed|grew} by B. {What|How high} is it{ now|}?
      There are A {#lions|men|cats|tulips|cups|T} and B {#tigers|women|dogs|roses|plates|M} {in|at|near|on} the P. How many {#animals|people|pets|flowers|pieces|of both} {are there|are that|is that}?
      The P had A T. {Yesterday|Today|Then} {another |}B {T |}{were added|were built|were put there|came in|were born}. How many T {has it|does it have|are there} now?
      {First|In the morning} A T {#came|fell|were sold|were found}, {then|later|in the evening} B. How many {T|of them} {#came|fell|were sold|were found} {in all|together|}?
      N {#lifts|carries|loads} A T, then B {more |}T. How many T does N {#lift|carry|load}{ in all|}?
      A {T|cows|birds|cars}{, then|, and then|; then|.} B {more|others|new ones}{.|,} {How many|how many} {in all|altogether|are that|is that}?
      One {#shop|shelf|box|barn} {has|holds} A T and {another|a second} {#shop|shelf|box|barn} {has|holds} B. How many T {do both have|are in both|is that}?
      How many T {does N have|has N got|are there} if {he|she|N} {has|had|owns} A and {buys|finds|gets|is given} B{ more|}?
      If N has A T and {buys|finds|gets|makes} B{ more|}, how many {T |}{does N have|are there|will N have}{ then| now| in the end|}?
      N {has|owns|keeps} A T{.|;} {He|She|N} {buys|finds|gets|makes|receives|orders} B {more |further |new |}T. How many T {does he own|does she own|does N own|does N have|are there now}?
      N {#read|wrote|drew|cleaned|saw} A T {yesterday|last week|in the morning|before lunch} and B T {today|this week|in the evening|after lunch}. How many T did {N|he|she} {#read|write|draw|clean|see}?
      N {#read|wrote|drew|cleaned|saw} A {#pages|letters|pictures|rooms|films} {yesterday|last week|before lunch} and B {today|this week|after lunch}. How many {#pages|letters|pictures|rooms|films} is that{ in all|}?
      {On|In} {#the first day|day one|round one|the first week} {N|I|we} {sold|found|made|scored} A {T|points|coins}, {on|in} {#the second|day two|round two|the second week} B. What is {the total|the sum|that together}?
      {My|Our|His|Her} {#sister|uncle|team|school} has A T, {my|our|his|her} {#brother|aunt|rival|neighbour} has B. How many T {are that|have they|do they have} {together|in total|altogether}?
      {_A|The} {bus|train|boat|plane} {has|carries|takes} A {#people|men|adults} {and|plus} B {#dogs|women|children}. How many {are on board|ride along|is that in all}?
      N {is|was} A {cm|metres|feet} {tall|high} and {grows|grew} {by |}B{ cm| metres| feet|}. How {tall|high} is N{ now| then|}?
      {The|This} {book|lamp|coat} {costs|cost} A {euros|dollars|coins} and {got|became|is now} B {euros|dollars|coins} {dearer|more expensive}. What {does it cost|is the price}{ now|}?
      N {needs|uses|takes} A {T|eggs|nails} for {#the cake|one soup|the door} and B for {#the bread|another|the roof}. How many {does N need|are needed|is that}{ in all|}?
      N {pays|paid|spent|saved|earned} A {dollars|euros|coins} {#last month|yesterday|in May} and B {dollars |euros |coins |}{#this month|today|in June}. How much {is that|was it} {in total|altogether|together|in all}?
      {In|On} the {#tree|pond|yard} {sit|are|were} A {#birds|ducks|hens}{ and|, and|. Then} B {more |others |}{come|join|land}. How many {#birds|ducks|hens} {sit there|are there|is that}{ now|}?
      We {had|counted|saw} A {guests|people|T} {at noon|early|first} and B {more |}{at night|late|later}. How many {was that|were there|did we see}{ in all|}?
      After {losing|selling|giving away|eating|spending} B {T|of them|coins}, N {has|keeps|still has} A{ left|}. How many {T |}{were there|did N have|had N} {before|at first|at the start}?
      N {lost|sold|gave away|ate} B T and {now |still |}has A{ left|}. How many {T |}{were there|did N have|had N} {before|at first|at the start}?`),
    '-': lines(`N {has|had|owns} A T and {loses|sells|eats|gives away|drops|breaks|spends|throws away|burns|returns|lends out|forgets|uses|destroys} B. How many T {does N have|has N got|has N|are there|does N have now|are there now}?
      {I|We|They} {have|had|own} A T and {lose|sell|eat|give away|drop|break|burn|use|lost|sold|ate|gave away|forgot} B. How many T {have I|do we have|do they have now|have I now|are there|are there now}?
      {There are|There were|I see|Here are} A {T|people|birds|children|cars} {in|at|on} the P. B {leave|go|go home|get out|fly off|run off|drive off|move out|swim off|are sold|are taken|disappear|die}. How many {are there|are there now|are they now|does the P have now}?
      {The P|_A bus|Our house|The lift} has A {people|guests|passengers|T} in it. B {get off|go out|leave|get out|are taken out|move out}. How many {are in it|are there|has it now|are in it now}?
      {_A|The|Our|One|This} P {has|had|offers|holds} A T{, and|, but|;|.} B {of them |of those |}are {occupied|reserved|in use|filled|rented|locked|hidden|blocked|not free}. How many {T |of them |}are {empty|unused|open|available|vacant|still free|to be had}?
      {There are|We have|I see|N has} A {#chairs|beds|rooms|places|T} and B {of them |}are {occupied|reserved|in use|full}. How many {#chairs|beds|rooms|places|T} {are empty|are unused|remain|are available}?
      {The P|_A class|Our team|_A group} has A {children|members|pupils|players|people}. B {of them |}{#are ill|are absent|are sick|are away|stay at home|do not come|are missing}. How many {#are healthy|are present|are well|are here|come|come|are here}?
      There {were|are} A {people|guests|children|T} {in|at} the P and B {left|went home|went out|got off|drove away|ran off}. How many {people |}{are still there|stayed|stay|are in the P now|are left}?
      {_A|The|My|This} {#book|film|way|song|rope} has A {#pages|minutes|miles|lines|metres}. {I have|N has|We have} {#read|seen|gone|learned|used} B{ of them|}. How many {#pages|minutes|miles|lines|metres} {are left|are still left|are to go|remain}?
      N {had|has|owned} A {dollars|euros|coins|pounds} and {spent|paid|lost|gave away|lent M} B{ of it|}. How much {is left|money is left|does N have now|remains|has N got}?
      {_A|The} {hat|bike|lamp|coat} costs A {dollars|euros|coins}. {#I have|N has|We have} B. How much {#do I still need|does N still need|is missing}?
      {Something|_A hat|_A book|The T} costs B {dollars|euros|coins}. N {pays with|gives|hands over} A. {How much|What} {change does N get|does N get back|money comes back}?
      N {pays with|gives} A {dollars|euros|coins} for {something|_A hat|_A book|_A T} that costs B. {How much|What} {change does N get|does N get back|money comes back}?
      N is A{ years old|}, {#her brother|his sister|M|the cat} is B years {younger|less}. How old is {#her brother|his sister|M|the cat}?
      N is A{ years old|} and M is B{ years old|}. {How many years|How much|By how many years} {is N older|is N older than M|is M younger}?
      N {has|had} A T, M {has|had} {only |}B. How many {more|more T|T more} {has N|does N have|did N have} {than M|}?
      N has A T, M has B. How many {fewer|T fewer|fewer T} {has M|does M have}?
      {Of|Out of|Among} A {#questions|eggs|lamps|sheep|T}, {#N knew|we broke|we tested|N counted|M chose} B. How many {#did N not know|are whole|are to be tested|did N not count|did M not choose}?
      {Of|Out of|Among} {the |}A {T|birds|cups|fish|tickets} B are {#blue|hidden|old|small|spoilt|empty|bad|wet}. How many {#are not|are visible|are new|are big|are not|are full|are good|are dry}?
      {Of|Out of|Among} {the |}A {#children|people|pupils|animals|workers} B are {#boys|men|girls|horses|women}. How many are {#girls|women|boys|no horses|men}?
      The temperature was A degrees and {fell|dropped|sank|went down} {by |}B{ degrees|}. {What|How warm} is it {now|then|}?
      N {bakes|made|collected|grew|caught} A T, {and|but} {M|the dog|the wind|a thief} {takes|took|ate|stole|carried off} B{ of them|}. How many {T |}{remain|are left|does N still have|are still there}?
      N {needs|wants|must find|has to write} A T and {already has|has found|has} B{ of them| already|}. How many {T |more |}{are missing|to go|does N need|must N find|are left}?
      A T {sat|stood|lay|hung|were} {in|on|at} the P. After {_A while|lunch|the storm|noon} {only |}B {were left|stayed|were there|could be seen}. How many {had gone|went away|were gone|left}?
      {The bus|The train|The ship} {carries|has|had} A {people|passengers}. At the {next |}{stop|harbour|station} B get off. How many {stay|are on it|travel on}{ now|}?
      {_A|The|This|Our|One} {#hotel|train|ship|cinema|bus|hall|school|lot} {has|offers|contains} A {#beds|seats|cabins|places|seats|chairs|desks|spaces}. B {are|of them are} {occupied|sold|booked|full|in use|rented|reserved}. How many {#beds|seats|cabins|places|seats|chairs|desks|spaces} {are free|are still free|are left|are vacant|are open}?
      {_A|The|Our} {#plane|tram|theatre|cafe} with A {#seats|seats|chairs|tables}{,|:} B {are|already} {occupied|sold|booked|in use}. How many {are free|can we have|are there for us|are vacant}?
      There are A {seats|rooms|chairs|lockers} {on|in|at} the {P|train|tram|hall}, B {are|of them are} {already |}taken. How many {can we still take|are there for us|are not taken|remain}?
      {_A|The} P {has room for|can hold|takes|fits} A {people|T|cars}{.|;} B {are there|have come|are in it}{ already|}. How many {more fit|more can come|places are left|may still come|places are free}?
      N {has to|must|wants to} {#read|write|run|sew} A {#pages|letters|miles|coats}. {He|She} has {done|finished|managed} B. How many {#pages|letters|miles|coats} {remain|are left|are to go|are missing}?
      How many T {does N have|are left|remain} {if|when} {he|she|N} had A and {lost|sold|gave away|ate|used} B?
      If N has A T and {loses|sells|eats|gives away|uses} B, how many {T |}{are left|does N have|will N have|remain}{ then| now| in the end|}?
      N {had|owned|kept} A T{.|;} {He|She|N} {gave|sent|lent|passed|handed} B {of them |}to {M|his sister|her mother|a friend|the teacher}. How many T {does N have|remain with N|are left|did N keep}{ now|}?
      A {people|guests|T} {were|are} {invited|expected|ordered|planned}{, but|; only|, and} B {came|arrived|were there}. How many {did not come|were missing|are missing|stayed away}?
      The {price|score|level|number} {fell|dropped|went down|sank} from A by B. What is it now?
      N is A{ years old|}{.|;} {His|Her} {#brother|sister|cat|wife} is B years younger. How old is {the|his|her} {#brother|sister|cat|wife}?
      N is B {years old|} and M is A. {How many years|By how many years} {older is M|is M older|is N younger}?
      N has B T and {wants|needs} A. How many {more |}{T |}{does N need|are missing|must N get|to go}?
      A T {hang|lie|are|were} {in|on} the P{.|;} N {takes|eats|picks|removes|throws away|carries off} B. How many {hang there|are there|are left|remain}{ now| still|}?
      {In|At} the {#shop|zoo|office|farm} {there are|work|live} A {#T|animals|people|hens}. B of {them|these} are {#red|lions|men|white}. How many are not {#red|lions|men|white}?
      Of {his|her|my|our|the} A T {he|she|I|we|N} {gave away|lost|broke|sold|ate} B. How many {are left|remain|are there still}?
      There were A {T|people|children|cars} {in|at|on} the P{, then| and then|; later} B {got off|left|went home|went away|drove off}. How many {are still there|are left|remain|are there now}?
      There are A T in {_A|the|one} {box|set|game|pack}. {If|When} B {are missing|are lost|get lost|are broken}, how many {do I have|are there|are left|remain}?
      {#Dad|Grandma|My aunt|N} is A and {#mum|grandpa|my uncle|M} is B. How many years {older|more} is {#dad|grandma|my aunt|N}?
      N {#scored|has|got|earned} B {points|coins|T} and M {#scored|has|got|earned} A. How many more {points|coins|T} {does M have|has M|are M's}?
      N {#scored|has|got|earned} B {#points|points|T|coins} and M A. How many {#points|points|T|coins} more {is that|has M}?
      {_A|The|My} {#book|film|way|list} has A {#pages|minutes|miles|words} and {I have|N has|I've} {#read|seen|walked|learned} B. How many {#pages|minutes|miles|words} {remain|are missing|are still to come}?
      After {finding|buying|getting|winning} B T, N {has|owns} A. How many {T |}{were there|did N have|had N} {before|at first|at the start}?
      N had A T. {Now|Today|In the end} {he|she|N} has {only |}B{ left|}. How many {T |}{are gone|were lost|did N lose|did N give away}?
      _A {#ladder|tower|stair|wall} has A {#rungs|steps|stairs|stones}. N {has climbed|is on|stands on number} B. How many {#rungs|steps|stairs|stones} {are above N|are still to come|remain}?`),
    '*': lines(`{_A|One|Each|Every} {#cat|table|bike|spider|car|dog|hand} has B {#legs|drawers|wheels|eyes|doors|paws|fingers}. How many {#legs|drawers|wheels|eyes|doors|paws|fingers} {have|are on|do you count on|belong to} A {of them|of these|such ones}?
      A {#cats|cows|tables|T|stools|flowers} with B {#legs|horns|drawers|M|legs|leaves} each{, how many|: how many} {#legs|horns|drawers|M|legs|leaves}{ in all| is that|}?
      {One|_A|Each} {T|pen|hat|ticket|cake|shirt} costs B {dollars|euros|coins|pounds}. {How much|What} {do|will} A {of them |}{cost|come to}?
      {If|When} {one|_A} {T|pen|hat|ticket} costs B {dollars|euros|coins}, {how much|what} do A cost?
      N {buys|bought|orders|sells} A {T|pens|hats|tickets} {for|at} B {dollars|euros|coins} each. {How much|What} {does N pay|did N pay|is that|does it cost|is it in all}?
      _A {#week|box|song|year|train|team} has B {#days|T|lines|months|wagons|players}. How many {#days|T|lines|months|wagons|players} {have|are in} A {#weeks|boxes|songs|years|trains|teams}?
      N {#runs|reads|plays|learns|drives|writes} B {#miles|pages|songs|words|km|T} {every day|each day|a day|daily}. How many {#miles|pages|songs|words|km|T} {is that|are that} {in|after} A days?
      {Every|Each} {guest|child|worker|horse|player} {eats|gets|brings|needs|carries} B T. {There are A of them|A come|A are there|We expect A}. How many T {are needed|do we need|is that|do they have}?
      {At|On|In|Around} {each|every one} of {the |}A {tables|trees|desks|rooms} {#sit|are|stand|hang} B {#people|birds|T|cups}. How many {#people|birds|T|cups} {are there|are that|is that}?
      There are A {tables|trees|desks|rooms}{ and|, and} {at|on|in} {each|every one|each of them} {#sit|are|stand|lie} B {#people|birds|T|cups}. How many {#people|birds|T|cups} {are there|are that}{ in all|}?
      {The|_A} P has A T {with|of} B {#seats|windows|beds|books|lamps|M} {each|in each|apiece}. How many {#seats|windows|beds|books|lamps|M} {are there|has it|does it have|is that}?
      N has A {bags|hands|pockets|nets|jars}{ and|,} {in each|each with|each holding|with} B T{ in each|}. How many T {has N|does N have|are that}{ altogether| in total|}?
      {In|On} {one|each|every} {#jar|row|page|tray} {are|lie|there are} B T. How many T {are|lie} {in|on} A {#jars|rows|pages|trays}?
      N {#plants|sews|glues|nails} A {rows|lines} {of|with} B {#seeds|buttons|T|stamps}. How many {#seeds|buttons|T|stamps} {is that|are there|does N need}?
      For {one|each|every} {#cake|soup|coat|chair} {N needs|you need|they use} B {#eggs|carrots|T|nails}. How many for A?
      {_A|The|Our|One} {#bakery|school|garden|library} has A {#trays|floors|beds|rooms} {with|of} B {#buns|windows|flowers|desks} {each|apiece|on each}. How many {#buns|windows|flowers|desks}{ are there| in all|}?
      A {friends|children|men|girls|hens} {bring|eat|carry|get|catch|lay} B T {each|apiece}. How many T {are there|is that|are that}{ in all|}?
      {Each|Every one} of {the |}A {friends|children|men|girls|teams} {brings|eats|carries|gets|has} B T. How many T {are there|is that|are that}{ in all|}?
      {I|We|You} {#do|swim|write|drink} B {#jumps|laps|words|cups} {a|per|each|every} {#day|week|minute|hour}. How many {#jumps|laps|words|cups} {is that|are that|do I get} in A {#days|weeks|minutes|hours}?
      How many {#jumps|laps|words|cups} {do I|do we|does N} {#do|swim|write|drink} in A {#days|weeks|minutes|hours} {at|with} B {a|per|each} {#day|week|minute|hour}?
      {One|_A|Each} {T|ticket|chair} {costs|is} B {euros|dollars|coins}. {How much|What} {do|would} A {T|tickets|such things} {cost|come to|be}?
      {How much|What} {do|would} A {T|tickets|pens} {cost|come to} {at|if one costs|if each costs} B {euros|dollars|coins}{ each|}?
      We {planted|set up|laid|saw} A rows {of|with} B T{ each|}. How many T {is that|are there|were there}?
      There are A {rows|lines|stacks|piles|heaps} {of|with} B T {in|on|near} the P. How many T {are there|is that|are in the P}?
      N {has|fills|buys|packs} A {boxes|bags|sacks|crates}. {Each|Every one|Each one} {holds|contains|has|takes} B T. How many T {are there|does N have|is that}{ in all|}?
      {How many|What number of} T {are|lie|fit} in A {boxes|bags|rows|nets} {if|when} {each|every one|one} {holds|has|contains} B?
      If {one|each|_A} {T|ticket|book} costs B {dollars|euros|coins}, {how much|what} do A {T|tickets|books|of them} cost?
      N {works|sleeps|trains|sings} B hours {a|every|each} day. How many hours {is that|are that} {in|after} A days?
      A {hands|feet|stars|leaves|T} {with|have} B {#fingers|toes|points|M} each: how many {#fingers|toes|points|M}{ is that| in all| together|}?`),
  },
  de: {
    '+': lines(`N {hat|hatte|besitzt} A T und {bekommt|findet|gewinnt|kauft|holt|sammelt|erhält|backt|macht} B. Wie viele T {hat N|hat N nun|sind es|sind es jetzt}?
      {Im Hof|Am See|Im Haus|In P} sind A {T|Leute|Kinder|Vögel}. B {kommen|kommen dazu|steigen zu|kommen herein|landen|ziehen ein}. Wie viele sind {es|es nun|es jetzt|da}?
      In {der Klasse|dem Saal|dem Haus} sind A {Kinder|Leute|T}. B {kommen|kommen noch|kommen herein}. Wie viele sind {da|jetzt da|es nun}?
      {Wie alt|Und wie alt} {#bin ich|ist N|wird N} in B Jahren, wenn {#ich heute A bin|N heute A ist|N jetzt A Jahre alt ist}?
      N ist A Jahre alt, M ist B Jahre älter. Wie alt ist M?
      N hat A {Euro|Taler|Münzen} und {bekommt|verdient|findet} {noch |}B{ Euro| dazu|}. Wie viel {hat N|Geld hat N|ist das}{ jetzt| nun|}?
      {Ein|Das} {Hut|Buch|Rad} kostet A Euro und {ein|das} {Stift|Heft|Brot} B Euro. Was kostet {beides|alles}{ zusammen|}?
      N {#pflückt|sammelt|backt|findet} A T, M {#pflückt|sammelt|backt|findet} B. Wie viele {T |}{haben beide|haben sie|sind das}{ zusammen|}?
      {#Im Zug|Am Tisch|Im Hof} {#sind|sitzen|stehen} A {Leute|Kinder}, B {#steigen zu|setzen sich dazu|kommen hinzu}. Wie viele sind es{ jetzt| dann|}?
      N {läuft|fährt|geht} A {km|Meter|Schritte} und dann {noch |}B. Wie weit ist das?
      N {hat|besitzt} A T. {Er|Sie|N} {kauft|bekommt|findet|holt} {noch |}B{ T| weitere| dazu|}. Wie viele T {hat er|hat sie|hat N|sind es}{ jetzt| nun|}?
      Wie viele T hat N, wenn {er|sie} A hat und {noch |}B {bekommt|kauft|findet}?
      Wenn N A T hat und {noch |}B {bekommt|kauft|findet}, wie viele {T |}{hat N dann|sind es dann|sind es}?
      N {#liest|sieht|schreibt} {gestern|am Morgen|zuerst} A {#Seiten|Filme|Briefe} und {heute|am Abend|später} B{ weitere|}. Wie viele {#Seiten|Filme|Briefe} sind {das|es}{ zusammen|}?
      {Am Montag|Im Mai|In Woche eins} {verkauft|macht|findet} N A T, {am Freitag|im Juni|in Woche zwei} B. Wie viele {T |}sind {das|es}{ zusammen| insgesamt|}?
      A T, dann {noch |}B{ T|}. Wie viele {T |}{sind das|sind es}?
      N {verliert|verkauft|isst} B T und hat noch A. Wie viele {waren es|hatte N} {vorher|am Anfang|zuerst}?`),
    '-': lines(`N {hat|hatte|besitzt} A T und {verliert|verkauft|isst|verschenkt|zerbricht|vergisst|verbraucht|verleiht} B. Wie viele T {hat N|hat N nun|sind es|sind es jetzt}?
      {Im Hof|Am See|Im Haus|In P} sind A {T|Leute|Kinder|Vögel}. B {gehen|gehen weg|steigen aus|gehen hinaus|fliegen fort|ziehen aus}. Wie viele sind {es|es nun|es jetzt|da}?
      In {der Klasse|der Gruppe|dem Saal} {sind|sitzen} A {Kinder|Schüler|Leute}. B {davon |}{fehlen|sind krank|sind nicht da|gehen heim}. Wie viele {sind da|bleiben|sind noch da}?
      {Auf|In|An} P {sind|gibt es} A {Plätze|T|Betten}, B {davon |}sind {besetzt|belegt|voll}. Wie viele sind {noch |}{leer|übrig|zu haben}?
      {Das|Mein} Buch hat A Seiten. {Ich habe|N hat} B gelesen. Wie viele {fehlen|sind noch zu lesen|bleiben}{ noch|}?
      N hat A {Euro|Taler|Münzen} und {gibt|bezahlt|verliert} B{ aus| davon|}. Wie viel {bleibt|hat N noch|ist übrig}?
      {#Ich habe|Wir haben|Ich habe} A {Euro|Taler|Münzen} und {#bezahle|zahlen|verliere} B. Was bleibt {#mir|uns|übrig}?
      N ist A Jahre alt, M ist B Jahre jünger. Wie alt ist M?
      N ist A, M ist B. Wie viele Jahre ist N älter?
      N hat A T, M hat B. Wie viele {T |}{mehr hat N|hat N mehr}?
      Von A {#T|Kindern|Eiern|Tassen} sind B {#blau|Jungen|faul|kaputt}. Wie viele {#nicht|sind Mädchen|sind gut|sind heil}?
      {Auf|In|An} P {stehen|sind|liegen} A T, B {fahren weg|fallen um|verschwinden|fliegen weg}. Wie viele {bleiben|sind noch da|sind es noch}?
      {Der|Ein|Unser} {#Bus|Zug|Saal|Wagen} hat A {#Plätze|Betten|Stühle|Sitze}. B {davon |}sind {belegt|verkauft|besetzt|gebucht|reserviert}. Wie viele {#Plätze|Betten|Stühle|Sitze} sind {frei|noch frei|leer|zu haben}?
      N {hat|hatte} A T. {Er|Sie|N} {gibt|schenkt|schickt} M B{ davon|}. Wie viele T {hat N|behält N|bleiben}{ noch| jetzt|}?
      Wie viele T hat N{ noch|}, wenn {er|sie} A hat und B {verliert|verkauft|isst|verschenkt}?
      Wenn N A T hat und B {verliert|verkauft|isst|verschenkt}, wie viele {T |}{hat N dann|bleiben|sind es noch}?
      Auf {dem Tisch|dem Teller|der Bank} {liegen|sind} A T. B {werden|davon werden} {gegessen|verkauft|gestohlen|weggenommen}. Wie viele {sind es noch|sind noch da|bleiben übrig}?
      {Eingeladen|Bestellt|Geplant} {sind|waren} A {Gäste|T|Leute}, {aber|nur} B {kommen|kamen}. Wie viele {fehlen|kommen nicht|fehlten}?
      N {muss|soll|will} A {#Seiten|Briefe|km} {#lesen|schreiben|laufen}. B {hat sie|hat er|sind} {schon |}{geschafft|fertig}. Wie viele {fehlen|bleiben|sind es noch}?
      N hatte A T. Jetzt sind es {nur noch |}B. Wie viele {fehlen|sind weg|hat N verloren}?`),
    '*': lines(`Ein {T|Heft|Hut|Ticket} kostet B {Euro|Taler|Münzen}. {Wie viel|Was} kosten A{ davon| T| Stück|}?
      Eine {#Woche|Kiste|Reihe|Mannschaft} hat B {#Tage|T|Plätze|Spieler}. Wie viele {#Tage|T|Plätze|Spieler} haben A {#Wochen|Kisten|Reihen|Mannschaften}?
      {Eine Katze|Ein Tisch|Ein T} hat B Beine. Wie viele Beine haben A {davon|zusammen|insgesamt}?
      N {#läuft|liest|schwimmt} {jeden Tag|täglich} B {#km|Seiten|Bahnen}. Wie viele {#km|Seiten|Bahnen} sind das in A Tagen?
      An jedem Tisch {sitzen|sind} B {#Leute|Kinder}. Es gibt A Tische. Wie viele {#Leute|Kinder} sind {es|das}?
      Jedes {#Kind|Tier} bekommt B T. Es sind A{# Kinder| Tiere}. Wie viele T {braucht man|sind das}?
      N kauft A T zu je B {Euro|Münzen}. Was {kostet das|bezahlt N}?
      A {Kinder|Freunde|Männer} {bringen|essen|tragen|haben} je B T. Wie viele T sind {das|es}{ zusammen| insgesamt|}?
      {Es gibt|Hier sind|Da sind} A {#Reihen|Kisten|Tische|Regale} mit {je |jeweils }B {#Bäumen|Flaschen|Kindern|Büchern}. Wie viele {#Bäume|Flaschen|Kinder|Bücher} sind {das|es}?
      N {hat|füllt|kauft} A {#Kisten|Beutel|Netze}. In {#jeder|jedem|jedem} sind B T. Wie viele T {hat N|sind es|sind das}?
      Was kosten A T, wenn {eins|jedes} B {Euro|Münzen} kostet?
      Ich {#laufe|lese|trinke} {täglich|jeden Tag|am Tag} B {#Runden|Seiten|Tassen}. Wie viele {#Runden|Seiten|Tassen} sind {das|es} in A Tagen?`),
  },
  zh: {
    '+': lines(`N有A{个|只|本}T，{买了|得到|捡到|收到|赢了|做了}B{个|只|本}，{N|现在|N现在}有{多少|几}{个|只|本}T？
      {P上|P里|屋里}有A{个|只|人}，{来了|进来|上来|飞来|加入}B{个|只|人}，{现在|这时|那里}有{多少|几}{个|只|人}？
      {班里|车上|屋里}有{#男生|大人|男人}A人，{#女生|小孩|女人}B人，{一共|共|总共}{多少人|几人}？
      {公园里|天上|P上}有A只T，{飞来|跑来|又来}B只，{现在|共}有{多少|几}只？
      N今年A岁，{再过B年|B年后}{几岁|多大}？
      N有A{#元|块}，{妈妈给|又得到|赚了}B{#元|块}，现在有{多少|几}{#元|块}？
      N{#摘了|做了|写了|跑了}A{#个|次|字|米}，M{#摘了|做了|写了|跑了}B{#个|次|字|米}，{两人|他们}{一共|共}{多少|几}{#个|次|字|米}？
      {一本书|一支笔|一顶帽子}A元，{一个本子|一块糖|一个球}B元，{一共|两样}多少{元|钱}？
      {鸭|牛|猫}A只，{鹅|羊|狗}B只，{共|一共|加起来}几只？
      {如果|要是}N有A个T，{又买|又得|再拿}B个，{一共|共|就}有{多少|几}个？
      N{昨天|上午|先}{#看了|写了|做了}A{#页|个字|道题}，{今天|下午|后来}{#看了|写了|做了}B{#页|个字|道题}，{一共|共|总共}{#看了|写了|做了}{多少|几}{#页|个字|道题}？
      先有A个T，{后来|然后}又来了B个，{现在|一共}{多少|几}个？`),
    '-': lines(`N有A{个|只|本}T，{丢了|吃了|用了|卖了|送了|坏了}B{个|只|本}，{N|现在|N现在}有{多少|几}{个|只|本}T？
      {P上|P里|屋里}有A{个|只|人}，{走了|出去|下去|飞走|离开}B{个|只|人}，{现在|这时|那里}有{多少|几}{个|只|人}？
      {一本书|这本书}A页，{看了|读了}B页，{还剩|还有|剩下}{多少|几}页？
      N有A{#元|块}，{花了|用了|丢了}B{#元|块}，{还剩|还有|剩}{多少|几}{#元|块}？
      N今年A岁，M{今年|是}B岁，{N比M大几岁|相差几岁|M比N小几岁}？
      {车上|屋里|教室里}有A人，{走了|下去|离开}B人，{还剩|还有}{多少|几}人？
      {班里|队里}有A人，{#男生|大人}B人，{#女生|小孩}{多少|几}人？
      {座位|房间|T}有A个，{有人的|用了|占了}B个，空的{几|多少}个？
      N要A个T，{只有|已有|有了}B个，还{差|缺|要}{几|多少}个？
      {如果|要是}N有A个T，{丢了|吃了|卖了}B个，{还剩|还有|剩}{多少|几}个？
      {这列火车|影院|大厅|会场}有A个{座位|位子}，{已有|坐了|卖了}B个，{还空|空着|还有空的}{几|多少}个？
      N有A个T，把B个{给了|送给|借给}M，N{还有|还剩|剩下}{几|多少}个？`),
    '*': lines(`{一只|每只}{狗|猫|鸡|T}有B条腿，A只{有|共有}{多少|几}条腿？
      {每个|一个}T{卖|要}{#B元|B块}，{买A个|A个}{#多少元|多少块}？
      N{每天|一天}{#写|跑|读}B{#个字|圈|页}，A天{#写|跑|读}{多少|几}{#个字|圈|页}？
      {买了|有}A{#袋|箱|盒}T，每{#袋|箱|盒}B{#斤|个|支}，{一共|共}{多少|几}{#斤|个|支}？
      每{#排|行|组}{坐|站|有}B人，A{#排|行|组}{坐|站|有}{多少|几}人？
      A个{人|孩子|同学}每人{带|拿|吃|有}B个T，{一共|共|总共}{多少|几}个？
      {一共|有}A{#排|箱|盒}，每{#排|箱|盒}B个T，{有多少个T|T有几个|多少个}？
      每个T卖B元，A个{要|卖|是}多少{元|钱}？`),
  },
}

/** What rises or falls from a number S, which may be negative, by B. */
export const LEVELS: Record<Language, Record<'+' | '-', string[]>> = {
  en: {
    '+': lines(`{The temperature|The level|The score|It} {is|was} S{ degrees| points| metres|} and {rises|rose|goes up|went up|climbs|gets warmer} {by |}B{ degrees| points| metres|}. {What|How high} is it{ now| then|}?
      {From|At} S {the lift|the diver|the balloon|the bird} {goes up|rises|climbs} B. {Where|At what height} is it{ now|}?`),
    '-': lines(`{The temperature|The level|The score|It} {is|was} S{ degrees| points| metres|} and {falls|fell|goes down|went down|sinks|drops} {by |}B{ degrees| points| metres|}. {What|How high} is it{ now| then|}?
      {From|At} S {the lift|the diver|the balloon|the bird} {goes down|sinks|falls} {by |another |}B. {Where|At what height} is it{ now|}?`),
  },
  de: {
    '+': lines(
      '{Es ist|Es war|Am Morgen ist es} S Grad und {steigt|wird wärmer} um B{ Grad|}. Wie {warm|viel Grad} ist es{ jetzt| dann|}?',
    ),
    '-': lines(
      '{Es ist|Es war|Am Morgen ist es} S Grad und {sinkt|fällt|wird kälter} um B{ Grad|}. Wie {warm|viel Grad} ist es{ jetzt| dann|}?',
    ),
  },
  zh: {
    '+': lines('{气温|早上}是S度，{升高|上升|升}了B度，现在{多少|几}度？'),
    '-': lines('{气温|早上}是S度，{下降|降低|降}了B度，现在{多少|几}度？'),
  },
}

/** Stories with three numbers. */
export const STORIES_OF_THREE: Record<Language, BySigns> = {
  en: {
    '++': lines(`There are A {#red|small|old|wooden} T, B {#blue|big|new|plastic} T and C {#green|huge|broken|glass} T. How many T {are there|are that|is that}?
      {There are|N has|N sees|I count} A {#red|small|old|wooden}, B {#blue|big|new|plastic} and C {#green|huge|broken|glass} T. How many T {are there|are that|is that}{ in all|}?
      N has A T, M has B and {the teacher|her sister|his dad|a friend} has C. How many T {have they|do they have|are that} {together|in all|altogether}?
      N {buys|finds|sells|eats|picks} A T, {then|later} B and {at last|in the evening|then another} C. How many T {is that|are that|is it}{ together| in all|}?
      A T {are|lie|stand} {in|on|at} the P, B at {home|school} and C in the {car|yard}. How many T {are there|is that}{ in all|}?
      N has A T{, gets|, finds| and wins} B and then C{ more|}. How many T {does N have|has N|are there}{ now|}?
      N has A {red|small|old} T, B {blue|big|new} ones and C {green|round|broken} ones. How many T {does N have|are that|has N got}{ in all| altogether|}?
      N {#reads|runs|sells|earns} A {#pages|miles|cars|coins} on {Monday|day one}, B on {Tuesday|day two} and C on {Friday|day three}. How many {#pages|miles|cars|coins} {is that|are that}{ in all| altogether|}?
      {The|_A|Our} P has A {#boys|cats|men}, B {#girls|dogs|women} and C {#teachers|birds|children}. How many {is that|are that|are there}{ in all| altogether| together|}?`),
    '-+': lines(`N has A T, {loses|sells|gives away|eats|breaks} B and {then |}{finds|gets|buys|makes|wins} C{ more| new ones|}. How many T {does N have|has N got|are there}{ now|}?
      There {are|were} A {people|passengers|guests} in the {bus|train|P}. B {get off|leave|go out} and C {get on|come in|enter}. How many {people|passengers|guests|} are {in it|there|inside}{ now|}?
      N had A {dollars|euros|coins}, {spent|paid|lost} B and {earned|got|found} C. How much {has N|does N have}{ now|}?
      The {bus|train|lift|boat|tram} {had|carried} A {people|passengers|guests}{.|;} B {got off|got out|left|went out} and C {got on|got in|came in|boarded}. How many {are on it|are in it|are there|does it have}{ now|}?`),
    '+-': lines(`N has A T, {finds|gets|buys|makes|wins} B{ more|} and {then |}{loses|sells|gives away|eats|breaks} C. How many T {does N have|has N got|are left}{ now|}?
      There {are|were} A {people|passengers|guests} in the {bus|train|P}. B {get on|come in|enter} and C {get off|leave|go out}. How many {people|passengers|guests|} are {in it|there|inside}{ now|}?
      The {bus|train|lift|boat|tram} {had|carried} A {people|passengers|guests}{.|;} B {got on|got in|came in|boarded} and C {got off|got out|left|went out}. How many {are on it|are in it|are there|does it have}{ now|}?`),
    '*+': lines(`N {buys|bought|gets} A {T|pens|cups} {at|for} B {euros|dollars|coins} each and {a hat|one cake|a bag} for C. {What|How much} {does it cost|is it|does N pay|is that}{ in all| together|}?
      N has A {boxes|bags|jars} {with|of} B T{ each|} and C {more |loose |other |}T. How many T {has N|are there|does N have}{ in all| altogether|}?
      A {tables|rooms|rows} with B {people|T} each and C more: how many{ is that| are there|}?`),
    '*-': lines(`N {has|fills|buys} A {boxes|bags|jars} {with|of} B T{ each|} and {loses|sells|eats|gives away} C. How many T {are left|has N|remain}{ now|}?
      There are A {tables|rooms|rows} with B {people|T} each. C {leave|are gone|go away}. How many {are left|remain|are there now}?`),
    '+*': lines(
      `A {boys|men|cats} and B {girls|women|dogs} {each get|get|each eat|each bring} C T{ each|}. How many T {is that|are that|are needed}{ in all|}?`,
    ),
    '--': lines(`N has A T, {loses|sells|gives away|eats|breaks} B and {then |}{loses|sells|gives M|eats|breaks} C{ more|}. How many T {does N have|are left|remain}{ now|}?
      {Of|Out of} A T B are {sold|eaten|gone|red} and C are {broken|lost|old|blue}. How many T {are left|remain|are others}?
      N had A {dollars|euros|coins} and {paid|spent} B for a {T|hat|book} and C for a {pen|cup|cake}. How much is left?
      N {bakes|buys|has} A T{.|;} {M|The dog|_A friend} {eats|takes|gets} B and {the guests|his sister|the cat} C. How many {T |}{are left|remain}?`),
  },
  de: {
    '++': lines(`{Hier sind|N hat|Es gibt} A {#rote|kleine|alte}, B {#blaue|große|neue} und C {#grüne|riesige|kaputte} T. Wie viele T sind {das|es}{ zusammen|}?
      N hat A T, M hat B und {Oma|Opa|Karl} hat C. Wie viele T haben sie zusammen?
      N {liest|läuft|verkauft} am Montag A, am Dienstag B und am Freitag C {Seiten|km|T}. Wie viele sind {das|es}{ zusammen| insgesamt|}?`),
    '-+': lines(`N hat A T, {verliert|verkauft|isst} B und {findet|bekommt|kauft} C. Wie viele T hat N{ jetzt| dann|}?
      Im {Bus|Zug} sind A Leute. B steigen aus und C steigen ein. Wie viele sind {es jetzt|drin}?
      In der {Bahn|Straßenbahn|Gondel} {sitzen|sind|waren} A {Leute|Kinder|Personen}. {Dann|In der Stadt|Am See} {steigen|stiegen} B aus und C {ein|zu}. Wie viele {sind es|sind darin|fahren mit}{ jetzt| nun|}?`),
    '+-': lines(`N hat A T, {findet|bekommt|kauft} B und {verliert|verkauft|isst} C. Wie viele T hat N{ jetzt| noch|}?
      Im {Bus|Zug} sind A Leute. B steigen ein und C steigen aus. Wie viele sind {es jetzt|drin}?
      In der {Bahn|Straßenbahn|Gondel} {sitzen|sind|waren} A {Leute|Kinder|Personen}. {Dann|In der Stadt|Am See} {steigen|stiegen} B {ein|zu} und C aus. Wie viele {sind es|sind darin|fahren mit}{ jetzt| nun|}?`),
    '*+': lines('N kauft A T zu je B {Euro|Münzen} und {einen Hut|ein Brot} für C. Was kostet {das|alles}{ zusammen|}?'),
    '*-': lines('N hat A {Kisten|Beutel} mit je B T und {verkauft|isst} C. Wie viele T {bleiben|hat N noch}?'),
    '--': lines('N hat A T, {verliert|verkauft|isst} B und {verschenkt|gibt M} C. Wie viele T {bleiben|hat N noch}?'),
  },
  zh: {
    '++': lines(`{红|小}球A个，{蓝|大}球B个，{绿|新}球C个，{一共|共}{多少|几}个？
      N有A个T，M有B个，老师有C个，一共{多少|几}个？`),
    '-+': lines(`车上有A人，下去B人，上来C人，{现在|车上}有{多少|几}人？
      N有A个T，{吃|用}了B个，又{买|得}了C个，现在有{多少|几}个？
      N有A元，花了B元，又{得|赚}了C元，{现在|还}有多少元？
      {公交车|车|火车}上{原来有|原有|有}A人，{到站|后来|先}下去B人，又上来C人，{现在|车上现在}有{多少|几}人？`),
    '*+': lines('N买A个T，每个B元，又买了一{顶帽子|本书}C元，{一共|共}{多少|要多少}元？'),
    '+-': lines(`车上有A人，上来B人，下去C人，{现在|车上}有{多少|几}人？
      {公交车|车|火车}上{原来有|原有|有}A人，{到站|后来|先}上来B人，又下去C人，{现在|车上现在}有{多少|几}人？`),
    '--': lines('N有A个T，{吃|用}了B个，又{送|丢}了C个，还{剩|有}{多少|几}个？'),
  },
}

/** Most are those of languages in which the dialogues have few. */
export const FURTHER_COMPARISONS: Record<Language, Comparison[]> = {
  en: comparisons('en', {
    larger: `What is {the maximum|the bigger|the greater|the higher|the largest} of A and B?
      {Which|What} {number |}is {the highest|the biggest|the larger one|higher|the greatest}{,|:} A or B?
      {Pick|Choose|Name|Give me} the {larger|bigger|greater} {one|number|}{:|,| of} A {or|and} B`,
    smaller: `What is {the minimum|the lesser|the smaller|the lower|the lowest} of A and B?
      {Which|What} {number |}is {the lowest|the smallest|the smaller one|lower|the least}{,|:} A or B?
      {Pick|Choose|Name|Give me} the {smaller|lesser|lower} {one|number|}{:|,| of} A {or|and} B`,
    isLarger: `{Does|So does} A {exceed|beat|come after|lie above} B?
      {Would you say|Is it true that|Am I right that} A is {larger|more|greater|bigger} than B?`,
    isSmaller: `Does A {come before|lie below} B?
      {Would you say|Is it true that|Am I right that} A is {smaller|less|lower} than B?`,
    both: '{Compare|Please compare} {the numbers |}A {and|with|to} B{.|}',
  }),
  de: comparisons('de', {
    larger: `{Was|Welche Zahl|Welche} ist {größer|höher|mehr|die größere|die höhere}{,|:} A oder B?
      {Nenne|Nimm|Sag} die größere{ Zahl|}: A oder B{.|}
      Die größere {Zahl |}von A und B{?|}`,
    smaller: `{Was|Welche Zahl|Welche} ist {kleiner|niedriger|weniger|die kleinere}{,|:} A oder B?
      {Nenne|Nimm|Sag} die kleinere{ Zahl|}: A oder B{.|}
      Die kleinere {Zahl |}von A und B{?|}`,
    isLarger: `{Ist|Sind} A {größer|höher|mehr} als B?
      {Stimmt es, dass|Ist es wahr, dass} A {größer|mehr} als B ist?`,
    isSmaller: `{Ist|Sind} A {kleiner|weniger|niedriger} als B?
      {Stimmt es, dass|Ist es wahr, dass} A kleiner als B ist?`,
    equal: '{Ist A gleich B|Sind A und B gleich|Sind A und B gleich groß}?',
    both: '{Vergleiche|Vergleich} A {und|mit} B{.|}',
  }),
  zh: comparisons('zh', {
    larger: `A{和|与|跟}B{哪个|谁|哪一个}{大|更大|大一些|多}？
      {A和B|A与B}{中|里}{大的|较大的}{是|是哪个}？`,
    smaller: `A{和|与|跟}B{哪个|谁|哪一个}{小|更小|小一些|少}？
      {A和B|A与B}{中|里}{小的|较小的}{是|是哪个}？`,
    isLarger: `A{比B大|大于B|比B多}吗？
      A{是不是|是否}{比B大|大于B}？`,
    isSmaller: `A{比B小|小于B|比B少}吗？
      A{是不是|是否}{比B小|小于B}？`,
    equal: `A{和|与}B{相等|一样大|一样}吗？
      A等于B吗？`,
    both: '{比较|比一比|请比较}{一下|}A{和|与}B{的大小|}',
  }),
}
