"""Reasoning traces as models write them, with the repetition that is right there, and loops planted in them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

__all__ = ["LOOPS", "NATURAL", "planted"]

NATURAL = (
    """Okay, the user wants the sum of the first ten odd numbers. Let me list them: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19.
The sum of the first n odd numbers is n squared, so it should be 100. Let me verify by adding: 1 + 3 = 4, 4 + 5 = 9,
9 + 7 = 16, 16 + 9 = 25, 25 + 11 = 36, 36 + 13 = 49, 49 + 15 = 64, 64 + 17 = 81, 81 + 19 = 100. Yes, that is 100.
Wait, let me double check the count. 1 is the first, 3 is the second, 5 is the third, 7 is the fourth, 9 is the fifth,
11 is the sixth, 13 is the seventh, 15 is the eighth, 17 is the ninth, 19 is the tenth. Good, that is ten numbers.""",
    """We need to solve x^2 - 5x + 6 = 0. Factor: (x - 2)(x - 3) = 0. So x = 2 or x = 3.
Check x = 2: 2^2 - 5*2 + 6 = 4 - 10 + 6 = 0. Good.
Check x = 3: 3^2 - 5*3 + 6 = 9 - 15 + 6 = 0. Good.
Is there any other solution? A quadratic has at most two roots, so no. Check x = 1: 1^2 - 5*1 + 6 = 1 - 5 + 6 = 2.
Not 0.
Check x = 4: 4^2 - 5*4 + 6 = 16 - 20 + 6 = 2. Not 0. So the solutions are x = 2 and x = 3.""",
    """Let me fill in the truth table.
| p | q | p and q | p or q | not p |
|---|---|---|---|---|
| true | true | true | true | false |
| true | false | false | true | false |
| false | true | false | true | true |
| false | false | false | false | true |
So p and q is true only in the first row, and p or q is false only in the last row. The formula (p and q) implies
(p or q) is then true in all rows, so it is a tautology. Let me check the second row: p and q is false, so the
implication is true. Third row: p and q is false, so the implication is true. Fourth row: the same. Fine.""",
    """Is 97 prime? I only need to try primes up to 9. 97 / 2 = 48.5, so 97 is not divisible by 2. 97 / 3 = 32.33, so
97 is
not divisible by 3. 97 / 5 = 19.4, so 97 is not divisible by 5. 97 / 7 = 13.86, so 97 is not divisible by 7.
Therefore 97
is prime. What about 91? 91 / 2 = 45.5, so 91 is not divisible by 2. 91 / 3 = 30.33, so 91 is not divisible by 3. 91
/ 5 =
18.2, so 91 is not divisible by 5. 91 / 7 = 13, so 91 is divisible by 7. Therefore 91 is not prime. What about 89? 89
/ 2 =
44.5, so 89 is not divisible by 2. 89 / 3 = 29.67, so 89 is not divisible by 3. 89 / 5 = 17.8, so 89 is not divisible
by 5.
89 / 7 = 12.71, so 89 is not divisible by 7. Therefore 89 is prime.""",
    """The matrix is [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]. The rank is the number of non-zero
rows after
elimination. Row one is 0, 0, 0, 0. Row two is 0, 1, 0, 0. Row three is 0, 0, 0, 0. Row four is 0, 0, 0, 1. Rows one and
three are zero. So the rank is 2. For the dp table I start with dp = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] and after the first
coin it is dp = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], because each amount can be made in one way with coins of 1.
After the second coin dp = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5].""",
    """Okay, so the user is asking for a packing list for a week by the sea. Let me think about what they need.
1. Clothes: seven shirts, seven pairs of socks, two pairs of shorts, one pair of long trousers.
2. Swimming: two swimsuits, one towel, one pair of goggles.
3. Sun: one hat, one pair of sunglasses, one bottle of sunscreen.
4. Papers: passport, tickets, insurance card.
5. Medicine: plasters, tablets for headaches, tablets for travel sickness.
Hmm, should I add a raincoat? Yes, a light one. Should I add a book? Yes, they might like that. Should I keep it short?
Yes, they asked for a list, so no long text. I will write it in five groups.""",
    r"""We have \frac{1}{2} + \frac{1}{4} + \frac{1}{8} + \frac{1}{16} + \frac{1}{32}. Each term is half of the one
before.
With a common denominator: \frac{16}{32} + \frac{8}{32} + \frac{4}{32} + \frac{2}{32} + \frac{1}{32} = \frac{31}{32}.
For five coins that all land heads: \frac{1}{2} \cdot \frac{1}{2} \cdot \frac{1}{2} \cdot \frac{1}{2} \cdot \frac{1}{2}
= \frac{1}{32}. So the probability of at least one tail is 1 - \frac{1}{32} = \frac{31}{32}. That is the same number,
which
is nice. Let me double-check with the formula for a geometric sum: a(1 - r^n)/(1 - r) with a = 1/2, r = 1/2, n = 5.
That gives (1/2)(1 - 1/32)/(1/2) = 31/32. Correct.""",
    """First I write the function.

```python
def count(rows):
    total = 0
    for row in rows:
        total += len(row)
    return total
```

Wait, an empty list gives 0, which is right. What if a row is None? Then len(row) fails. So I should skip it.

```python
def count(rows):
    total = 0
    for row in rows:
        if row is None:
            continue
        total += len(row)
    return total
```

Let me test in my head: rows = [[1, 2], None, [3]]. total = 0, then 2, skip, then 3. Returns 3. Good. Also rows = []
returns 0.
So I will give them the second version and explain the check.""",
    """Wait, wait. Let me reread. "Alice has twice as many apples as Bob, and Bob has three more than Carol." So B =
C + 3 and
A = 2B. Total is 25: A + B + C = 25. Substitute: 2(C + 3) + (C + 3) + C = 25. So 2C + 6 + C + 3 + C = 25, 4C + 9 = 25,
4C = 16, C = 4. Then B = 7, A = 14. Check: 14 + 7 + 4 = 25. Yes. Let me check again: A is twice B: 14 = 2 * 7. Yes. B
is three
more than C: 7 = 4 + 3. Yes. So the answer is 14 apples for Alice, 7 apples for Bob, 4 apples for Carol. Hmm, hmm,
but is
"three more than Carol" about apples? Yes, it must be. No, no, there is no other way to read it.""",
    """好的，用户想知道怎么煮米饭。首先要洗米，洗两三遍，直到水变清。然后加水，米和水的比例大约是一比一点二。
接着浸泡二十分钟，这样米饭会更软。然后用大火煮开，再转小火煮十五分钟，最后关火焖十分钟。
需要提醒用户不要在煮的时候打开锅盖。如果是电饭锅，就更简单了：洗米，加水，按下开关，等它跳到保温，再焖十分钟。
如果是糙米，水要多一些，时间要长一些。如果是糯米，水要少一些，时间要短一些。我会先给出普通大米的做法，再说明糙米和糯米的区别。""",
    """Der Nutzer möchte wissen, ob das Haus Schatten auf den Garten wirft. Die Sonne steht mittags im Süden, morgens
im Osten,
abends im Westen. Das Haus steht im Norden des Gartens. Also fällt der Schatten mittags nach Norden, weg vom Garten.
Morgens
fällt er nach Westen, abends nach Osten. Im Winter steht die Sonne tief, im Sommer hoch. Im Winter ist der Schatten
lang,
im Sommer kurz. Der Garten liegt also mittags immer in der Sonne. Das ist die Antwort. Noch einmal prüfen: Süden,
Norden,
Garten im Süden des Hauses, Schatten nach Norden. Ja, das stimmt.""",
    """The poem should have a refrain. Something like: "And the rain came down, and the rain came down, and the river
rose
to the edge of town." I could end each stanza with "and the rain came down". First stanza: the farmer sees clouds.
Second
stanza: the miller closes his gate, and the rain came down. Third stanza: the children laugh in the lane, and the
rain came
down. Fourth stanza: the bridge goes, and the rain came down. The rhyme scheme is AABB. Let me count the syllables of
the
first line: the-far-mer-looked-up-at-the-sky, eight. The second: he-saw-the-black-clouds-roll-ing-by, eight. Good.""",
    """Tower of Hanoi with three disks. Move disk 1 from A to C. Move disk 2 from A to B. Move disk 1 from C to B.
Move disk 3
from A to C. Move disk 1 from B to A. Move disk 2 from B to C. Move disk 1 from A to C. That is seven moves, 2^3 - 1
= 7.
For four disks: move three disks from A to B (seven moves), move disk 4 from A to C (one move), move three disks from
B to
C (seven moves). Total 15. For five disks: move four disks from A to B (15 moves), move disk 5 from A to C (one
move), move
four disks from B to C (15 moves). Total 31. The pattern holds: 2^n - 1.""",
    """Let me translate the poem line by line. Line one: "the house is empty". Line two: "the house is cold". Line
three: "the
house is waiting". I could keep the anaphora. In French: "la maison est vide", "la maison est froide", "la maison
attend".
The third loses the verb to be, but "la maison est en attente" sounds like a phone call. So keep "attend". Check the
rhythm:
la-mai-son-est-vide, five; la-mai-son-est-froide, five; la-mai-son-at-tend, five. Good, it is even better than
before.""",
    """So compute 7^1 mod 10 = 7, 7^2 mod 10 = 9, 7^3 mod 10 = 3, 7^4 mod 10 = 1, 7^5 mod 10 = 7, 7^6 mod 10 = 9, 7^7
mod 10 = 3,
7^8 mod 10 = 1, 7^9 mod 10 = 7, 7^10 mod 10 = 9, 7^11 mod 10 = 3, 7^12 mod 10 = 1. The cycle is 7, 9, 3, 1 with
length 4.
100 is divisible by 4, so 7^100 ends in 1. Let me double check with 7^4 = 2401, which ends in 1, and 1^25 = 1. Yes.
The last
digits go 7, 9, 3, 1, 7, 9, 3, 1, 7, 9, 3, 1, so every fourth one is 1.""",
    """The schedule: Monday: open from 9 to 5. Tuesday: open from 9 to 5. Wednesday: closed. Thursday: open from 9 to
5. Friday:
open from 9 to 5. Saturday: open from 10 to 2. Sunday: closed. They ask on how many days the library is open before
noon.
Monday yes, Tuesday yes, Wednesday no, Thursday yes, Friday yes, Saturday yes, Sunday no. So five days. They may also
want
the hours: 8 + 8 + 8 + 8 + 4 = 36 hours. I will mention both, because the question is not quite clear about it.""",
)
"""Traces without a loop: sums, checks, lists, tables, code, verses; two are not in English."""

_SENTENCE = "So the value of the second term must be larger than the first one, which cannot be."
_OTHER = "Let me go back to the beginning and read the question again."
_PARAGRAPH = (
    "Hmm, that does not look right. If the train leaves at noon and the bus an hour later, then they meet after the "
    "bridge. "
    "But the question says that they meet before the bridge, so one of the speeds must be wrong. Let me set up the "
    "equation "
    "again with the speed of the bus as the unknown and the time of the train as it is given."
)

LOOPS = {
    "a sentence": (_SENTENCE, 4),
    "a sentence for long": (_SENTENCE, 40),
    "a paragraph": (_PARAGRAPH, 3),
    "a paragraph for long": (_PARAGRAPH, 12),
    "a short phrase": ("wait, no,", 8),
    "a word": ("again", 12),
    "a cycle of two sentences": (f"{_SENTENCE} {_OTHER}", 3),
    "a long cycle of two sentences": (f"{_SENTENCE} {_OTHER}", 20),
    "in Chinese": ("等一下，让我再检查一遍这个答案。", 4),
    "an equation": ("x = 2 and then ", 10),
}
"""What goes round in circles, and how often."""


def planted(seed: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the name of each loop, and a trace with it at the end and one with it in the middle, for every trace."""
    draw = random.Random(seed)
    for name, (unit, times) in LOOPS.items():
        for trace in NATURAL:
            for separator, middle in ((" ", False), ("\n\n", True)):
                pieces = re.split(r"(?<=[.。])\s+", trace)
                place = draw.randrange(1, len(pieces)) if middle and len(pieces) > 1 else len(pieces)
                loop = separator.join([unit] * times)
                yield name, "\n".join([*pieces[:place], loop, *pieces[place:]])
