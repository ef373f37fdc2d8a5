"""Countries, and what people and companies are called there. All of it is made up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """A country of the sample.

    Attributes:
        scale: what one US dollar's worth of revenue is in the currency, roughly.
        weight: how many of its accounts stand among a hundred.
        given, family: names; where they are not written in Latin letters, ``|`` and the
            spelling for the e-mail address follow.
        companies: the first parts of company names, written like the names.
        forms: the whole name, with ``{}`` where the first part goes.
        full_name: in which order a person's names stand.
    """

    country: str
    locale: str
    zones: tuple[str, ...]
    currency: str
    weight: int
    given: tuple[str, ...]
    family: tuple[str, ...]
    companies: tuple[str, ...]
    forms: tuple[str, ...]
    scale: float = 1.0
    full_name: str = "{given} {family}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH_GIVEN = _words(
    "Olivia Noah Amelia Liam Grace Ethan Priya Marcus Hannah Owen Zoe Jamal Ruth Caleb Nadia"
)
_ENGLISH_FAMILY = _words(
    "Walker Bennett Okafor Sullivan Reyes Thompson Patel Hughes Carter Nguyen Brooks O'Neill Shah"
)
_ENGLISH_COMPANIES = _words(
    "Harbor Cedar Northgate Bluestone Fairview Summit Juniper Redwood Lakeside Ironbridge "
    "Millbrook Sandpiper Foxglove Granite Willow Kestrel"
)
_ENGLISH_FORMS = (
    "{} Logistics",
    "{} Health",
    "{} Foods",
    "{} Analytics",
    "{} Manufacturing",
    "{} Energy",
    "{} Retail Group",
    "{} & Sons",
)
_GERMAN_GIVEN = _words(
    "Anna Lukas Sabine Jürgen Katrin Matthias Ulrike Tobias Heike Felix Jana Björn Käthe"
)
_GERMAN_FAMILY = _words(
    "Müller Schäfer Weiß Hoffmann Köhler Brandt Vogel Lehmann Großmann Keller Zimmermann Böhm"
)
_GERMAN_COMPANIES = _words(
    "Nordlicht Schwarzwald Alpenblick Elbtal Rheinwerk Lindenhof Sonnenfeld Bergmann Hansekontor "
    "Eichenau Mühlbach Kranich"
)
_GERMAN_FORMS = (
    "{} Maschinenbau {form}",
    "{} Logistik {form}",
    "{} Software {form}",
    "{} Lebensmittel {form}",
    "{} Energie {form}",
)


def _german(form: str) -> tuple[str, ...]:
    return tuple(pattern.replace("{form}", form) for pattern in _GERMAN_FORMS)


PLACES: tuple[Place, ...] = (
    Place(
        country="US",
        locale="en_US",
        zones=("America/New_York", "America/Chicago", "America/Los_Angeles"),
        currency="USD",
        weight=20,
        given=_ENGLISH_GIVEN,
        family=_ENGLISH_FAMILY,
        companies=_ENGLISH_COMPANIES,
        forms=tuple(f"{pattern}, Inc." for pattern in _ENGLISH_FORMS[:7]) + _ENGLISH_FORMS,
    ),
    Place(
        country="GB",
        locale="en_GB",
        zones=("Europe/London",),
        currency="GBP",
        scale=0.8,
        weight=10,
        given=_ENGLISH_GIVEN,
        family=_ENGLISH_FAMILY,
        companies=_ENGLISH_COMPANIES,
        forms=tuple(f"{pattern} Ltd" for pattern in _ENGLISH_FORMS),
    ),
    Place(
        country="CA",
        locale="en_CA",
        zones=("America/Toronto", "America/Vancouver"),
        currency="CAD",
        scale=1.4,
        weight=4,
        given=_ENGLISH_GIVEN,
        family=_ENGLISH_FAMILY,
        companies=_ENGLISH_COMPANIES,
        forms=tuple(f"{pattern} Canada" for pattern in _ENGLISH_FORMS[:6]),
    ),
    Place(
        country="AU",
        locale="en_AU",
        zones=("Australia/Sydney", "Australia/Perth"),
        currency="AUD",
        scale=1.5,
        weight=4,
        given=_ENGLISH_GIVEN,
        family=_ENGLISH_FAMILY,
        companies=_ENGLISH_COMPANIES,
        forms=tuple(f"{pattern} Pty Ltd" for pattern in _ENGLISH_FORMS[:6]),
    ),
    Place(
        country="DE",
        locale="de_DE",
        zones=("Europe/Berlin",),
        currency="EUR",
        scale=0.9,
        weight=14,
        given=_GERMAN_GIVEN,
        family=_GERMAN_FAMILY,
        companies=_GERMAN_COMPANIES,
        forms=_german("GmbH") + _german("AG"),
    ),
    Place(
        country="CH",
        locale="de_CH",
        zones=("Europe/Zurich",),
        currency="CHF",
        scale=0.9,
        weight=6,
        given=_GERMAN_GIVEN,
        family=_GERMAN_FAMILY,
        companies=_GERMAN_COMPANIES,
        forms=_german("Schweiz AG"),
    ),
    Place(
        country="FR",
        locale="fr_FR",
        zones=("Europe/Paris",),
        currency="EUR",
        scale=0.9,
        weight=7,
        given=_words("Élodie Benoît Chloé Guillaume Océane Théo Inès François Maëlle Hugo"),
        family=_words("Lefèvre Moreau Girard Dupré Rousseau Fontaine Mercier Noël Chevalier"),
        companies=_words("Belrive Montclair Lavande Rivage Hautpré Clairbois Fontenelle Valmont"),
        forms=("{} SAS", "Ateliers {}", "{} Distribution", "Groupe {}", "Maison {} SARL"),
    ),
    Place(
        country="ES",
        locale="es_ES",
        zones=("Europe/Madrid", "Atlantic/Canary"),
        currency="EUR",
        scale=0.9,
        weight=4,
        given=_words("Lucía Íñigo Carmen Álvaro Marta Joaquín Núria Andrés Begoña"),
        family=_words("García Muñoz Ibáñez Peña Castaño Ortega Vázquez Giménez"),
        companies=_words("Almendro Montesol Riveras Olivar Peñalba Costazul Valdemar"),
        forms=("{} S.L.", "Grupo {}", "Transportes {}", "{} Alimentación"),
    ),
    Place(
        country="IT",
        locale="it_IT",
        zones=("Europe/Rome",),
        currency="EUR",
        scale=0.9,
        weight=4,
        given=_words("Giulia Niccolò Chiara Lorenzo Beatrice Matteo Noemi Davide"),
        family=_words("Ferri Conti Rinaldi D'Angelo Moretti Galli Barbieri Lombardi"),
        companies=_words("Monteverde Pietralba Laguna Castelli Soleluna Aurora Valdarno"),
        forms=("{} S.p.A.", "Officine {}", "{} S.r.l.", "Fratelli {}"),
    ),
    Place(
        country="BR",
        locale="pt_BR",
        zones=("America/Sao_Paulo", "America/Manaus"),
        currency="BRL",
        scale=5.0,
        weight=4,
        given=_words("Beatriz João Larissa Thiago Patrícia Caíque Fernanda André"),
        family=_words("Silva Gonçalves Araújo Conceição Barros Magalhães Pereira"),
        companies=_words("Ipanema Jacarandá Serrana Boavista Atlântico Pantanal"),
        forms=("{} Ltda.", "Grupo {}", "{} Tecnologia", "Café {}"),
    ),
    Place(
        country="SE",
        locale="sv_SE",
        zones=("Europe/Stockholm",),
        currency="SEK",
        scale=10.0,
        weight=3,
        given=_words("Åsa Oskar Linnéa Göran Ebba Sören Maja Håkan"),
        family=_words("Lindström Åkesson Bergqvist Sjögren Nyström Öberg"),
        companies=_words("Norrsken Björkvik Fjällräv Älvdal Skärgård Tallbacka"),
        forms=("{} AB", "{} Industri AB", "{} Handel"),
    ),
    Place(
        country="HU",
        locale="hu_HU",
        full_name="{family} {given}",
        zones=("Europe/Budapest",),
        currency="HUF",
        scale=360.0,
        weight=2,
        given=_words("Zsófia Ádám Eszter Gergő Réka Bálint"),
        family=_words("Nagy Kovács Szűcs Tóth Horváth Bíró"),
        companies=_words("Dunapart Tisza Bükk Hortobágy Mecsek Balaton"),
        forms=("{} Kft.", "{} Zrt.", "{} Szolgáltató Kft."),
    ),
    Place(
        country="IN",
        locale="en_IN",
        zones=("Asia/Kolkata",),
        currency="INR",
        scale=83.0,
        weight=5,
        given=_words("Aarav Ananya Rohan Meera Karthik Divya Ishaan Lakshmi"),
        family=_words("Iyer Sharma Reddy Chatterjee Nair Kulkarni Bose"),
        companies=_words(
            "Lotus Banyan Ganges Deccan Saffron Monsoon Malabar Peacock Sandal Marigold"
        ),
        forms=("{} Pvt. Ltd.", "{} Technologies", "{} Textiles", "{} Motors"),
    ),
    Place(
        country="JP",
        locale="ja_JP",
        full_name="{family}{given}",
        zones=("Asia/Tokyo",),
        currency="JPY",
        scale=150.0,
        weight=4,
        given=("美咲|misaki", "翔太|shota", "陽菜|hina", "健一|kenichi", "さくら|sakura"),
        family=("佐藤|sato", "鈴木|suzuki", "高橋|takahashi", "田中|tanaka", "渡辺|watanabe"),
        companies=(
            "青空|aozora",
            "若葉|wakaba",
            "桜井|sakurai",
            "富士見|fujimi",
            "北斗|hokuto",
            "千歳|chitose",
            "大和|yamato",
        ),
        forms=("株式会社{}", "{}商事株式会社", "{}電機", "{}物流株式会社"),
    ),
    Place(
        country="CN",
        locale="zh_CN",
        full_name="{family}{given}",
        zones=("Asia/Shanghai",),
        currency="CNY",
        scale=7.2,
        weight=3,
        given=("伟|wei", "芳|fang", "秀英|xiuying", "建国|jianguo", "晓梅|xiaomei"),
        family=("王|wang", "李|li", "张|zhang", "刘|liu", "陈|chen"),
        companies=("长江|changjiang", "东方|dongfang", "金桥|jinqiao", "明珠|mingzhu"),
        forms=("{}科技有限公司", "{}贸易有限公司", "{}物流有限公司"),
    ),
    Place(
        country="KR",
        locale="ko_KR",
        full_name="{family}{given}",
        zones=("Asia/Seoul",),
        currency="KRW",
        scale=1350.0,
        weight=2,
        given=("서연|seoyeon", "민준|minjun", "지우|jiwoo", "하은|haeun"),
        family=("김|kim", "이|lee", "박|park", "최|choi"),
        companies=("한빛|hanbit", "새벽|saebyeok", "바다|bada", "누리|nuri"),
        forms=("{}전자", "주식회사 {}", "{}물산"),
    ),
    Place(
        country="IL",
        locale="he_IL",
        zones=("Asia/Jerusalem",),
        currency="ILS",
        scale=3.7,
        weight=2,
        given=("נועה|noa", "איתי|itai", "תמר|tamar", "יונתן|yonatan"),
        family=("כהן|cohen", "לוי|levi", "מזרחי|mizrahi", "פרץ|peretz"),
        companies=("גלבוע|gilboa", "ארזים|arazim", "כרמל|carmel", "תבור|tavor"),
        forms=("{} בע״מ", "{} טכנולוגיות", "קבוצת {}"),
    ),
    Place(
        country="GR",
        locale="el_GR",
        zones=("Europe/Athens",),
        currency="EUR",
        scale=0.9,
        weight=2,
        given=("Ελένη|eleni", "Γιώργος|giorgos", "Μαρία|maria", "Νίκος|nikos"),
        family=("Παπαδοπούλου|papadopoulou", "Γεωργίου|georgiou", "Νικολάου|nikolaou"),
        companies=("Αιγαίο|aigaio", "Όλυμπος|olympos", "Δελφοί|delfoi", "Ιόνιο|ionio"),
        forms=("{} Α.Ε.", "{} Τρόφιμα", "Όμιλος {}"),
    ),
)
