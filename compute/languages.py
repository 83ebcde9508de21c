"""Codes of languages."""

from __future__ import annotations

_CODES = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis
bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym da:dan de:deu
dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry
ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina
id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz
kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao
lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde
ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol
ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk
sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir
tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol
wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul
"""
THREE_LETTERS = dict(pair.split(":") for pair in _CODES.split())
"""ISO 639-1 -> 639-3. A macrolanguage stays one (ar: ara): URIEL documents it better than its varieties."""

_SCRIPTS = """
Arab: ar fa ks ps sd ug ur ckb; Armn: hy; Beng: as bn; Cans: cr iu oj; Deva: bh bho hi mai mr ne sa; Ethi: am ti;
Cyrl: ab av ba be bg ce cu cv kk kv ky mk mn os ru sr tg tt uk; Geor: ka; Grek: el; Gujr: gu; Guru: pa; Hang: ko;
Hani: wuu yue zh; Hebr: he yi; Jpan: ja; Khmr: km; Knda: kn; Laoo: lo; Mlym: ml; Mymr: my; Orya: or; Sinh: si; Taml: ta;
Telu: te; Thaa: dv; Thai: th; Tibt: bo dz; Yiii: ii
"""
"""ISO 15924: the languages most often written so today; the other two-letter ones are written in Latin letters."""
_SCRIPT_OF = {
    language: script.strip()
    for script, _, languages in (part.partition(":") for part in _SCRIPTS.split(";"))
    for language in languages.split()
}
_TWO_LETTERS = {three: two for two, three in THREE_LETTERS.items()}


def script_of(language: str) -> str | None:
    """Return the script a language is most often written in, by its ISO 15924 code; None where it is not known here."""
    code = _TWO_LETTERS.get(language, language)
    return _SCRIPT_OF.get(code) or ("Latn" if code in THREE_LETTERS else None)
