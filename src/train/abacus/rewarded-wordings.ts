/**
 * Wordings that no text of the training shows: only the rewards of the last stage ask them. There the model finds out which of such questions
 * it reads wrongly, and that declining them pays. E stands for an expression, A, B and C for numbers, N and M for names, T for things, P for
 * places. The wordings of the tests are others.
 */
import type { Operator } from './expression.ts'
import type { Language } from './number-words.ts'
import { type Comparison, comparisons } from './question-wordings.ts'
import { lines } from './templates.ts'
import type { BySigns } from './unfamiliar-wordings.ts'

/** Around any expression. */
export const REWARDED_AROUND: Record<Language, string[]> = {
  en: lines(`I got stuck on E, help
    Somebody asked me E
    How would you answer E?
    Let me have E.
    Any idea what E gives?
    My son needs E
    Check E for me
    My calculator is broken: E
    E, how much would that be?
    Another task: E
    First E
    Be so kind and tell me E
    I wonder how much E could be
    Type the value of E
    The exam says: E
    What do we get with E?
    Write down E
    Let's do E now
    E comes out as what?
    Quickly, E!
    May I ask what E is?
    We are looking for E
    Do E in your head
    Answer this: E
    Good, and what is E?
    Is it hard to find E?
    Please say how much E makes
    On the board stands E
    Help me with E, please
    Number 4 is E
    I forgot what E is
    Say what E is worth
    Sorry, what was E?
    Grandpa wants E from me
    This one: E
    I typed E and forgot the answer
    Could be E, how much is it?
    Maths class: E
    Tell my friend the value of E
    How does E turn out?
    So much for that. E?
    I bet you know E
    Where does E lead?
    Only the number please: E
    Just a short question, E
    We had E in the test
    Nobody here knows E
    Line two says E`),
  de: lines(`Hilf mir mit E
    Wie groß ist E?
    Was kommt raus, wenn ich E rechne?
    Ich brauche E
    An der Tafel steht E
    Sag schnell: E
    Und E?
    Welche Zahl ergibt E?
    Mein Sohn fragt: E
    Könntest du E für mich lösen?
    Wie viel bekomme ich bei E?
    Schreib mir das Ergebnis von E
    Erkläre mir E
    Zeig mir, was E ist
    Welchen Wert hat E?
    Kennst du E?
    Wir hatten E im Test
    Kurze Frage, E?
    Nur die Zahl bitte: E
    Was macht E aus?`),
  zh: lines(`你会算E吗？
    E应该是多少？
    麻烦算E
    我想问E是几
    题目是E
    E得出多少？
    说说E等于几
    快算E
    黑板上写着E
    下一题：E
    考试题：E
    你知道E吗？
    只要数字：E`),
}

export const REWARDED_OF_TWO: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`Which number is B above A?
      A and then B on top
      Put B on top of A.
      Lay B to A, how much is it?
      Go B up from A.
      Count on B from A.
      From A go up by B, where are you?
      Write the sum of A and B.
      Merge A and B into one number
      Both A and B, how much is that?
      A with B more
      B beyond A
      Suppose I have A and somebody hands me B. What do I own?
      Say A and B are added. What comes?
      We need A plus a further B.
      Bring A and B together, what is the sum?
      A grows by B. What is it now?
      What must the sum of A and B be?
      A gains B
      addition of A and B
      He does not take anything away, he counts A and B together. What is it?
      My answer was A plus B. Which number is that?
      B joins A. What is the total?
      A here, B there: how much in all?
      Suppose we sum A with B. The result?
      Do not multiply. Add A and B.`),
    '-': lines(`Which number is B below A?
      Go B down from A.
      Count back B from A.
      From A go down by B, where are you?
      Cut B off A.
      A shrinks by B. What is it now?
      Write the difference of A and B.
      A loses B
      A but B less
      A except B
      What is missing from B to A?
      How much do I need to come from B to A?
      Drop B out of A
      Suppose I have A and pay B. What stays with me?
      What do you have after taking B out of A?
      How far apart are B and A?
      We had A, B went, what stays?
      A smaller by B
      What must be added to B so that it is A?
      subtraction of B from A
      She does not add, she takes B from A. What is it?
      A, but B of it is lost. How much is that?
      How much must A lose to become B?
      B comes off A. What stays?
      Do not add. Subtract B from A.
      We are at A and go back B. Where are we?`),
    '*': lines(`A sets of B
      A heaps of B, how much in all?
      B taken A times
      Write the product of A and B.
      B, A times over
      A rounds of B points
      Suppose I take B A times. What comes?
      Repeat B A times and add it all
      A by B, multiplied
      multiplication of A and B
      How much are A bunches of B?
      The number B comes A times. What is it together?
      What must the product of A and B be?
      A packets of B are how many?
      He does not add, he takes A times B. What is it?
      A copies of the number B, summed up
      Do not add. Multiply A with B.
      What comes when A meets B in a product?`),
  },
  de: {
    '+': lines(`Leg B zu A
      Gib zu A noch B
      Welche Zahl ist um B größer als A?
      A und noch B
      Was bekomme ich aus A und B zusammen?
      Füge B zu A hinzu
      A wächst um B
      Schreibe die Summe von A und B
      Er zieht nichts ab, er zählt A und B zusammen. Wie viel?
      Nicht malnehmen: A und B addieren
      A hier und B dort, wie viel zusammen?`),
    '-': lines(`Nimm von A B fort
      Welche Zahl ist um B kleiner als A?
      Was fehlt von B bis A?
      A schrumpft um B
      Streiche B von A
      Von A bleiben ohne B wie viele?
      Schreibe die Differenz von A und B
      Wie weit ist es von B bis A?
      Sie addiert nichts, sie zieht B von A ab. Wie viel?
      Nicht addieren: B von A abziehen
      A, aber B davon sind weg. Wie viel ist das?`),
    '*': lines(`A Gruppen zu B
      B kommt A mal vor, wie viel ist das?
      Schreibe das Produkt von A und B
      Wie viel sind A Stapel zu je B?
      A Reihen zu B
      Was bekommt man bei A mal der Zahl B?
      Er addiert nichts, er nimmt A mal B. Wie viel?
      Nicht addieren: A mit B malnehmen`),
  },
  zh: {
    '+': lines(`在A上再加B
      A再多B是几？
      A和B合起来是多少？
      A同B的总和
      A添上B是多少？`),
    '-': lines(`A少了B是多少？
      从A拿掉B还有多少？
      B再加多少是A？
      A扣除B是多少？
      A和B相差多少？`),
    '*': lines(`B有A份是多少？
      A组B是多少？
      A同B相乘
      A倍的B是多少？`),
  },
}

export const REWARDED_STORIES: Record<Language, Record<Operator, string[]>> = {
  en: {
    '+': lines(`N counted A T in the P. Later N saw another B. How many T did N count?
      A T were ready when B further ones arrived. How many T are ready?
      The P keeps A T upstairs and B T downstairs. What is the number of T in the P?
      N collects T. Yesterday there were A, today B new ones came. How many is that?
      In the morning N caught A T, at night B. How many T did N catch?
      N ordered A T. M ordered B. How many T were ordered by the two?
      A T swim in the P and B T sit beside it. How many T can you see?
      M gave N B T for the birthday. Before, N had A. How many are there today?
      N already has A T. If N gets B for free, how many T will N have?
      A guests came early and B came late. How many guests came?
      N put A T into the P, then B T. How many T lie in the P?
      After lunch B T were added to the A T of N. How many T are there after lunch?
      N has A red T and B green ones. What is the total number of T?
      The team scored A points in the first game and B points in the second. How many points did it score?
      A tickets were sold on the first day, B on the next. How many tickets were sold?
      N walked A steps to the P and B steps home. How many steps did N walk?
      On the left stand A T, on the right B. How many stand there?
      First there was a pile of A T, and N laid B on it. How high is the pile in T?
      N wrote A letters and M wrote B letters. How many letters did they write?
      The P had A visitors in spring and B in autumn. How many visitors did it have?
      One class has A children, the other has B. How many children do both classes have?
      Our hen laid A eggs, and the other hen laid B. How many eggs do we have?
      N knows A songs and learns B new songs. How many songs does N know?
      A ships are in the harbour and B ships come in. How many ships are in the harbour?
      N spent A coins on bread and B coins on milk. How many coins did N spend?
      The shelf holds A T. N puts B T beside them. How many T stand on the shelf?
      My uncle has A T, my aunt B. How many T have my uncle and my aunt?
      N saved A coins this month and B coins last month. How many coins did N save?
      Somebody left A T here, and N left B T. How many T were left here?
      With A T in my hand and B T in my pocket, how many T do I have?
      The cook used A carrots for soup and B for salad. How many carrots did the cook use?
      N has got A dots on one side and B dots on the other. How many dots has N got?
      If A T lie here and B lie there, what is the total?
      N drank A cups of tea and B cups of milk. How many cups did N drink?
      A men and B women work at the P. How many people work there?
      The match had A goals before the break and B after it. How many goals were there?
      N bought A T at one P and B T at another. How many T did N buy?
      The farmer owns A cows plus B goats. How many animals does the farmer own?
      N runs A laps, rests, and runs B laps more. How many laps does N run?
      My bag weighs A pounds, yours B. How heavy are both?
      A children play outside while B play inside. How many children play?
      N spends A minutes on maths and B minutes on reading. How many minutes is that?
      The first try of N gave A points, the second B. What is the score in all?
      It took A days to build the P and B days to paint it. How many days did it take?
      Yesterday the P sold A T. Today it sold B. What is the total?
      There are A T on the table. N lays B more down. How many T are on the table?
      N carried A bricks, M carried B. How many bricks were carried?`),
    '-': lines(`N counted A T. Then B flew off. How many stayed?
      N baked A T. The guests ate B. How many T remain?
      Of the A T in the P, B are old. How many are new?
      A T stood in the P until N took B of them away. How many T still stand there?
      N brought A T to the P and sold B. With how many T did N come home?
      There are A children in the P, and B of them wear hats. How many wear no hat?
      N has to write A letters and has written B. How many letters are still to be written?
      N owes M A coins and pays back B. How many coins does N still owe?
      A T hung on the tree. The wind took B. How many hang there now?
      The book has A pages and N is on page B. How many pages are to come?
      N planned A tasks and finished B. How many tasks are open?
      A people were in the train, B got off. How many people are in the train now?
      N bought A T, but B of them were bad. How many were good?
      The P had A T. After the storm B were missing. How many were not missing?
      N started with A T and ended with B T fewer. How many T did N end with?
      N took B of A T along. How many T did N leave at home?
      Out of A lamps B do not work. How many lamps work?
      M ate B of the A T that N made. How many T did M leave?
      A T cost too much, so N put B back. How many T did N keep?
      There is room for A cars in the P. B cars are in it. How many places are empty?
      N has A T, that is B more than M has. How many T does M have?
      M has B T fewer than N, who has A. How many T does M have?
      A soldiers marched out, B did not come back. How many came back?
      A candles burn. N blows out B. How many candles still burn?
      A ropes hang there, and B of them are cut. How many are whole?
      A cats sleep. B wake up. How many cats are still asleep?
      The jar had A sweets. After N was there, B were gone. How many sweets does the jar have?
      N wanted to pick A T but could only pick B. How many T were not picked?
      I had A T this morning, and by noon I had given B to M. How many T had I at noon?
      B of our A windows are open. How many windows are shut?
      _A hall has A chairs, B of which are in use. How many are unused?
      Of A places B are gone. How many can I still book?
      There is a car park for A cars, B stand in it. How many more cars can park?
      N had A T in the basket, but B fell out. How many T are in it now?
      N cut B cm off a rope of A cm. How long is it now?
      The shop got A T and sold B by noon. How many T does it still have?
      N wants A points and has B. How many points does N lack?
      A people wait. The doctor sees B. How many wait now?
      N made A T, which is B more than M made. How many did M make?
      Mum baked A T and we ate B. How many T are left over?
      N took A T to school and came back with B. How many T were given away?
      There are A pupils, B of them boys. How many girls are there?
      It was A degrees at noon, and B degrees less at night. How warm was it at night?
      The bottle held A drops. B drops ran out. How many drops does it hold now?
      A T less B that were stolen: how many does N own?
      N is A, and her daughter was born when N was B. How old is the daughter?
      The flight has A seats and B people booked. How many seats are open?
      From a pack of A cards N dealt B. How many cards are in the pack?`),
    '*': lines(`N fills A jars, every jar with B T. How many T does N use?
      A T come in each box. N opens B boxes. How many T does N get?
      A cars have B wheels each. How many wheels are that?
      In every room of the P stand B T. The P has A rooms. How many T does it have?
      N does B jumps in a minute. How many jumps does N do in A minutes?
      The P has A floors with B windows on each floor. How many windows does it have?
      A nests were found, B eggs in each of them. How many eggs were found?
      One T costs B coins. What do A T cost in coins?
      N pays B coins for each of A T. How many coins does N pay?
      A teams play and every team has B players. How many players play?
      N reads B pages every evening. How many pages does N read in A evenings?
      Every child brings B T. A children come. How many T are brought?
      A tables, at each of them B chairs. How many chairs?
      N has A pockets with B T in every one. How many T has N?
      M gave B T to each of A friends. How many T did M give?
      A trains with B wagons each: how many wagons?
      The baker makes B loaves an hour. How many loaves does he make in A hours?
      For one cake N needs B eggs. How many eggs are needed for A cakes?
      A spiders have B legs each. How many legs do they have?
      From each tree N takes B T. There are A trees. How many T does N take?
      A bottles stand in each crate, and there are B crates. How many bottles are there?
      A letters with B stamps on each. How many stamps?
      N laid the T in A lines of B. How many T did N lay?
      Each of the A drawers contains B keys. How many keys are there?
      Every week N gets B coins. How many coins does N get in A weeks?
      A classes with B pupils in each: how many pupils?
      N types B words every minute for A minutes. How many words does N type?
      _A carton holds B eggs. How many eggs are in A cartons?
      N puts B T on each of A plates. How many T does N need?
      Tickets are B coins each. N wants A. How much must N pay?
      A hens lay B eggs each. How many eggs do we get?
      In A days N saves B coins per day. How many coins does N save?
      There are A shelves, B T on every shelf. How many T are there?
      A weeks have how many days if one week has B?
      N swims B laps at each of A visits. How many laps does N swim?
      A dogs have how many legs, at B legs a dog?
      The hall has A rows with B seats per row. How many people can sit?`),
  },
  de: {
    '+': lines(`N zählt A T, und M zählt B. Wie viele T zählen beide?
      A T stehen links und B rechts. Wie viele stehen da?
      N hat schon A T. Zum Geburtstag kommen B neue. Wie viele T sind es dann?
      Am ersten Tag kamen A Gäste, am zweiten B. Wie viele Gäste kamen?
      N legt zu A T noch B weitere. Wie viele T liegen da?
      In der einen Klasse sind A Kinder, in der anderen B. Wie viele Kinder sind es?
      N gab A Münzen für Brot und B Münzen für Milch aus. Wie viele Münzen waren das?
      Ein Haufen hat A T, der andere B. Wie viele T haben beide Haufen?
      Im Spiel fielen vor der Pause A Tore und danach B. Wie viele Tore fielen?
      A Männer und B Frauen arbeiten hier. Wie viele Leute arbeiten hier?
      Liegen hier A T und dort B, wie viele sind es?
      N läuft A Runden, ruht, und läuft noch B. Wie viele Runden läuft N?`),
    '-': lines(`N hat A T gebacken. Die Gäste essen B. Wie viele T sind noch da?
      Am Baum hingen A T. B fielen herunter. Wie viele hängen noch?
      Von A Kindern tragen B eine Mütze. Wie viele tragen keine?
      N soll A Briefe schreiben und hat B geschrieben. Wie viele fehlen noch?
      A T waren da, bis N B mitnahm. Wie viele T blieben da?
      Im Zug waren A Leute. B sind ausgestiegen. Wie viele Leute sind im Zug?
      N kauft A T, aber B sind schlecht. Wie viele sind gut?
      N schuldet M A Münzen und zahlt B zurück. Wie viele schuldet N noch?
      Ein Saal hat A Stühle, B davon sind in Gebrauch. Wie viele sind es nicht?
      Es gibt A Schüler, B davon sind Jungen. Wie viele Mädchen gibt es?
      N schneidet B cm von A cm ab. Wie lang ist der Rest?
      A Leute warten, B werden geholt. Wie viele warten noch?
      Mutter backt A T und wir essen B. Wie viele T sind übrig?`),
    '*': lines(`A Autos haben je B Räder. Wie viele Räder sind das?
      In jedem Zimmer stehen B T. Es gibt A Zimmer. Wie viele T stehen im Haus?
      N liest jeden Abend B Seiten. Wie viele Seiten liest N an A Abenden?
      Ein T kostet B Münzen. Was kosten A T?
      A Mannschaften mit je B Spielern: wie viele Spieler?
      An A Tischen stehen je B Stühle. Wie viele Stühle sind es?
      A Klassen mit je B Schülern: wie viele Schüler?
      Eine Karte kostet B Euro. N will A. Wie viel muss N zahlen?
      A Hunde mit je B Beinen: wie viele Beine?`),
  },
  zh: {
    '+': lines(`N上午做了A个T，下午做了B个，一天做了多少个？
      左边有A个T，右边有B个T，总共几个T？
      教室里有A个人，又进来B个人，里面有多少人？
      一班有A人，二班有B人，两个班有多少人？
      N已经有A个T，生日又得了B个，现在多少个？
      男生A人，女生B人，全班多少人？
      比赛上半场进A球，下半场进B球，进了多少球？`),
    '-': lines(`车上有A人，下车B人，车上还有几人？
      N做了A个T，客人吃了B个，剩几个？
      N要写A个字，写好了B个，还要写几个？
      A个灯里B个坏了，好的有几个？
      盘子里A个T，少了B个，还有几个？
      大厅有A把椅子，B把有人坐，没人坐的有几把？
      绳子长A米，剪掉B米，还有多长？`),
    '*': lines(`每人拿B个T，A个人拿多少个T？
      每天看B页，A天看多少页？
      A张桌子，每张桌子有B把椅子，有多少把椅子？
      每棵树上有B个T，A棵树有多少个T？
      A辆车，每辆坐B人，能坐多少人？
      A个班，每班B人，有多少人？
      一张票B元，买A张要多少钱？`),
  },
}

export const REWARDED_OF_THREE: Record<Language, BySigns> = {
  en: {
    '++': lines(`N saw A T at home, B T at school and C T at the P. How many T did N see?
      In the box are A round, B square and C flat T. How many T is that?
      First A people came, then B, then C. How many people came?
      N has A T, M has B and P has C. What is the total number of T?`),
    '-+': lines(`A people sat in the tram. B left and C entered. How many sit in it now?
      N had A T, lost B of them and was given C. How many T does N own now?
      From A coins N spent B and then earned C. How many coins has N?`),
    '+-': lines(`A people sat in the tram. B entered and C left. How many sit in it now?
      N had A T, was given B and lost C of them. How many T does N own now?
      To A coins N added B and then spent C. How many coins has N?`),
    '--': lines(`Of A T B are sold today and C tomorrow. How many stay?
      N had A T. First B broke, then C. How many are whole?`),
  },
  de: {
    '++': lines('N sieht A T daheim, B in der Schule und C im Wald. Wie viele T sieht N?'),
    '-+': lines('A Leute saßen im Wagen. B gingen und C kamen. Wie viele sitzen jetzt darin?'),
    '+-': lines('A Leute saßen im Wagen. B kamen und C gingen. Wie viele sitzen jetzt darin?'),
  },
  zh: {
    '++': lines('先来A人，又来B人，再来C人，来了多少人？'),
    '-+': lines('屋里有A人，出去B人，进来C人，屋里还有几人？'),
    '+-': lines('屋里有A人，进来B人，出去C人，屋里还有几人？'),
  },
}

export const REWARDED_COMPARISONS: Record<Language, Comparison[]> = {
  en: comparisons('en', {
    larger: `Between A and B, who wins?
      A against B: the larger is
      Of A and B I want the bigger
      Who is ahead, A or B?
      From A and B take the larger.`,
    smaller: `A against B: the smaller is
      Of A and B I want the smaller
      Who is behind, A or B?
      From A and B take the smaller.`,
    isLarger: `Can I say that A is over B?
      Tell me if A is larger than B
      A bigger than B, yes or no?
      Is it so that A is greater than B?
      Isn't A larger than B?`,
    isSmaller: `Can I say that A is under B?
      Tell me if A is smaller than B
      A smaller than B, yes or no?
      Is it so that A is less than B?
      Isn't A smaller than B?`,
    equal: `Do A and B have the same value?
      Tell me if A equals B`,
  }),
  de: comparisons('de', {
    larger: `Wer gewinnt, A oder B?
      Von A und B die größere`,
    smaller: `Von A und B die kleinere
      Wer ist hinten, A oder B?`,
    isLarger: `Sag mir, ob A größer als B ist
      A größer als B, ja oder nein?
      Liegt A über B?`,
    isSmaller: `Sag mir, ob A kleiner als B ist
      A kleiner als B, ja oder nein?
      Liegt A unter B?`,
  }),
  zh: comparisons('zh', {
    larger: `A大还是B大？
      A和B，大的是几？`,
    smaller: `A小还是B小？
      A和B，小的是几？`,
    isLarger: 'A大于B，对吗？',
    isSmaller: 'A小于B，对吗？',
  }),
}

/** Stories that cannot be answered from their numbers, or only by arithmetic that the model does not do. */
export const REWARDED_DECLINED: Record<Language, string[]> = {
  en: lines(`N counted A T in the P. How many T did M count?
    A T stand on the left. How many stand on the right?
    N put A T into bags of B. How many bags are full?
    N and M share A T fairly. How many does N get?
    A coins are for B children. What does every child get?
    N walked for A minutes and rested for B hours. How long was N on the way?
    N came at A and left at B. How long did N stay?
    B of A T are broken. What part is that?
    N cut a rope of A metres into B pieces. How long is each piece?
    N has twice as many T as M, who has A, and half as many as P. How many has P?
    Every one of A T weighs B pounds. How heavy are they?
    N had some T and lost B. How did N lose them?
    A T cost B coins together. What does one T cost?
    How many T does N need?
    N is A years old. When was N born?
    N has A T. M has more. How many does M have?
    What is the average of A and B?
    Half of the A T are gone. How many are left?
    A T and B M. Which do you like more?
    N bought A T at B percent off. What did N pay?
    N runs A metres in B seconds. How fast is N?
    Why does N have A T and M only B?
    Round A to the nearest B.
    How often can I take B from A?
    N sorts A T into B equal groups. How big is a group?
    How many bags of B T can N fill with A T?
    What is a tenth of A?
    What follows after A and B in the row?
    A T were packed, B in each box. How many boxes were used?
    How many weeks are A days?
    N has some T. N finds B. How many T has N?
    A T for B friends, each the same. How many per friend?
    Which numbers come between A and B?
    How much is A percent of B?
    N has A T and gets some more. How many has N?`),
  de: lines(`N verteilt A T an B Kinder. Wie viele bekommt jedes?
    N zählt A T. Wie viele zählt M?
    Die Hälfte von A T ist weg. Wie viele sind noch da?
    A T kosten zusammen B Münzen. Was kostet eins?
    Wie oft passt B in A?
    N kam um A und ging um B. Wie lange war N da?
    Wie alt ist N, wenn M A ist?
    Wie schnell ist N, wenn A Meter B Sekunden dauern?
    Wie viele Beutel zu B T kann N mit A T füllen?
    Was ist ein Zehntel von A?
    N hat einige T und findet B. Wie viele hat N?`),
  zh: lines(`A个T分给B个人，每人几个？
    N有A个T，M有几个？
    A个T的一半是多少？
    A里面有几个B？
    N几点来，几点走？
    A和B的平均数是多少？
    A个T每袋装B个，要几袋？
    A的百分之B是多少？`),
}
