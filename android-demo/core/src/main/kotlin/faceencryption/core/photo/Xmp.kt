package faceencryption.core.photo

import faceencryption.core.MessageKind
import javax.xml.parsers.DocumentBuilderFactory
import org.w3c.dom.Element
import org.w3c.dom.Node
import org.xml.sax.SAXException

// XMP: what a packet tells. `runtime/photo/xmp.py` has the same names.

private const val MAX_READ = 1 shl 18
private const val PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
private val REGIONS = listOf("http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/")
private val PEOPLE = setOf("PersonInImage", "PersonInImageWDetails", "ImageRegion", "PersonDisplayName")
private val PLACES = setOf(
    "Location", "LocationCreated", "LocationShown", "City", "State", "CountryName", "Country", "Sublocation",
)
private val AUTHORS = setOf("creator", "rights", "CreatorContactInfo", "AuthorsPosition")

/** In the order in which they are told. */
private val FACTS = listOf(
    MessageKind.GPS_POSITION, MessageKind.PLACES, MessageKind.NAMES_OF_PEOPLE, MessageKind.AUTHOR, MessageKind.PREVIEW,
)

/** What a packet tells; nothing where it cannot be read. */
internal fun xmpFacts(packet: ByteArray): List<MessageKind> {
    val found = HashSet<MessageKind>()
    for (node in nodes(packet)) {
        val space = node.namespaceURI.orEmpty()
        val name = node.localName.orEmpty()
        val isRegion = REGIONS.any { space.startsWith(it) }
        if (name.lowercase().startsWith("gps")) found.add(MessageKind.GPS_POSITION)
        if (name in PLACES) found.add(MessageKind.PLACES)
        if (isRegion || name in PEOPLE) found.add(MessageKind.NAMES_OF_PEOPLE)
        if (name in AUTHORS) found.add(MessageKind.AUTHOR)
        if (space != PANORAMA && (name == "Thumbnails" || holdsPicture(ownText(node).toByteArray()))) {
            found.add(MessageKind.PREVIEW)
        }
    }
    return FACTS.filter { it in found }
}

/** All elements and attributes, whatever the depth. */
private fun nodes(packet: ByteArray): List<Node> {
    val text = text(packet)
    // XMP has no document types, and so no entities.
    val isUnusual = "<!" in text.replace("<!--", "").replace("<![CDATA[", "") || '\u0000' in text.trim('\u0000')
    if (packet.isEmpty() || packet.size > MAX_READ || isUnusual) return emptyList()
    val document = try {
        val factory = DocumentBuilderFactory.newInstance().apply { isNamespaceAware = true }
        val builder = factory.newDocumentBuilder().apply { setErrorHandler(null) }
        builder.parse(text.trim('\u0000', ' ', '\r', '\n', '\t').byteInputStream(Charsets.ISO_8859_1))
    } catch (error: SAXException) {
        return emptyList()
    }
    val found = ArrayList<Node>()
    val waiting = ArrayList<Node>().apply { add(document) }
    while (waiting.isNotEmpty()) {
        val node = waiting.removeAt(waiting.size - 1)
        for (at in 0 until node.childNodes.length) waiting.add(node.childNodes.item(at))
        if (node !is Element) continue
        found.add(node)
        for (at in 0 until node.attributes.length) {
            val attribute = node.attributes.item(at)
            if (attribute.prefix != "xmlns" && attribute.nodeName != "xmlns") found.add(attribute)
        }
    }
    return found
}

private fun ownText(node: Node): String {
    if (node !is Element) return node.nodeValue.orEmpty()
    val children = List(node.childNodes.length) { node.childNodes.item(it) }
    return children.filter { it.nodeType == Node.TEXT_NODE || it.nodeType == Node.CDATA_SECTION_NODE }
        .joinToString("") { it.nodeValue }
}
