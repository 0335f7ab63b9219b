"""Words that carry no wish, and words that name a colour, a size or a unit."""

from __future__ import annotations

FILLER = frozenset(
    """
    a about actually add additionally all also am an and another any anything are as at available be
    been best better big bit both budget but buy buying by can cart cheap cheaper cheapest choose color
    colors colour colours come contain contains cost costing costs could currently dear decent did do
    does dollar dollars each easily else especially etc even ever few find for from get getting give go
    going good great had has have havent having hello help her here hers hey hi him his hoping how
    however i id if ill im in including interested into is it its itself ive just kind know least less
    let like list look looking lot love low lower made make makes many max maximum may maybe me mind
    more most mostly much must my nearby need needed needs next nice no not now of off offer ok okay on
    one ones only option options or order other our out over own particular perhaps pick please possible
    possibly prefer preferably price priced prices probably product products purchase quite rather ready
    really recommend recommendation recommendations recommended search see select sell shall she shop
    shopping should show size sized so some somebody someone something sort suggest suggestion
    suggestions suitable sure take tell than thank thanks that thats the their them themselves then
    there these they thing things think this those though to today too try trying two under until up
    upto us usd use used useful using very want wanted wants was we well went were what whats when where
    whether which while who whose why will wish with within without wonderful wondering would yes yet
    you your yours
    """.split()  # noqa: SIM905  (as prose the words can be read)
)

COLOURS = frozenset(
    """
    amber aqua beige black blue bronze brown burgundy charcoal clear copper coral cream crimson cyan
    gold golden gray green grey indigo ivory khaki lavender lilac magenta maroon mint multicolor mustard
    navy nude olive orange peach pink plum purple red rose ruby salmon silver tan taupe teal turquoise
    violet walnut white yellow
    """.split()  # noqa: SIM905  (as prose the words can be read)
)

SIZES = frozenset(
    """
    2x 2xl 3x 3x-large 3xl 4x 4x-large 4xl 5x 5x-large 5xl full king large medium queen small twin
    x-large x-small xl xs xx-large xxl xxx-large xxxl
    """.split()  # noqa: SIM905  (as prose the words can be read)
)

# For whom and when, not what: any kind of thing may be a gift for a friend.
OCCASIONS = frozenset(
    """
    anniversary baby birthday boy boyfriend brother child christmas colleague daughter easter everyday
    family father friend gift girl girlfriend grandma grandpa halloween holiday home husband kid man men
    mom mother office parent party present sister somebody son summer surprise teacher teen toddler
    valentine wedding wife winter woman women
    """.split()  # noqa: SIM905  (as prose the words can be read)
)

# What shops and shoppers call differently.
_SAME = (
    "couch sofa settee", "sneaker trainer shoe", "laptop notebook", "phone smartphone cellphone",
    "tv television", "fridge refrigerator", "sweater jumper pullover", "pants trousers", "tee t-shirt",
    "earphone earbud headphone", "bike bicycle", "cookie biscuit", "diaper nappy", "purse handbag",
    "rug carpet", "sunglass shades", "picture photo", "pram stroller", "candy sweets", "trash garbage",
)  # fmt: skip

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "dozen": 12, "couple": 2, "pair": 2,
}  # fmt: skip

# After "under 12" these make it a measure, not a price.
UNITS = (
    "inch|inches|in|feet|foot|ft|cm|mm|m|meters?|yards?|oz|ounces?|fl|lbs?|pounds?|kg|g|grams?|mg|ml|l|liters?|gb|tb|mb"
    "|hz|ghz|mhz|watts?|w|v|volts?|mah|years?|months?|days?|hours?|minutes?|weeks?|calories|percent|%|pcs|pieces"
    "|packs?|count|ct|pairs?|people|persons?|kids?|guests?|stars?|mp|mpx|megapixels?|x"
)


def stem(word: str) -> str:
    """A word without its plural: enough to tell that "shoes" and "shoe" are the same thing."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def synonyms(word: str) -> set[str]:
    """The stems of a word and of what else it is called."""
    stemmed = stem(word)
    return {stemmed}.union(*({stem(w) for w in group} for group in _GROUPS if stemmed in group))


_GROUPS = tuple(frozenset(stem(word) for word in group.split()) for group in _SAME)
